import { copyFileSync, existsSync } from 'node:fs';
import path from 'node:path';
import type { CredentialClient } from '../../../client/index.ts';
import { memoryDirectory } from '../../daemon/vault/memory-directory.ts';
import { STORE_FILE, TestVault } from '../../daemon/vault/open-vault.ts';
import { BenchScope } from '../../bench/bench-scope.ts';
import { eventually } from '../../support/eventually.ts';
import { restoreCopy, takeCopy } from '../copy.ts';
import type { Copy } from '../copy.ts';
import type { DaemonRun } from '../crash/daemon-run.ts';
import { Breaches } from '../scenario.ts';
import type { Outcome, Torture } from '../scenario.ts';
import { Disk } from './disk.ts';
import { record } from './record.ts';
import type { Recording } from './record.ts';

const KEPT_FILE = `${STORE_FILE}.before-restore`;
const KEY_FILE = 'root.key';

/** The names in the copy and in the store that it replaces. A few pages of records. */
const NAMES = ['a', 'b', 'c', 'd', 'e', 'f'] as const;
const VALUE_BYTES = 2500;
/** A name that is written all the time, and that no copy has. */
const BESIDE = 'beside';

/** The number of writes awaited before a restore, and after it. */
const TURNS = 5;

/** The number of events after the reply to a restore at which the power fails, too. */
const EVENTS_AFTERWARDS = 40;

/** The contents at one time: whose values, and the number of replies to the keeper from which on they were certain. */
interface State {
  readonly whose: string;
  readonly answers: number;
  readonly restore?: Restore;
}

interface Restore {
  /** Turns of the writer that were answered when the Restore was sent, and that had been sent when it was answered. */
  readonly turnsBefore: number;
  readonly turnsAsked: number;
  /** Whose contents were replaced, and are kept. */
  readonly kept: string;
  /** The number of replies to the keeper before the Restore was sent. */
  readonly asked: number;
}

/**
 * Records the calls of two clients: the keeper stores values and restores a copy twice, the writer writes without a
 * pause.
 */
export class Restores {
  readonly states: State[] = [{ whose: 'nobody', answers: 0 }];
  /** The generations in the writer's replies, turn by turn. */
  readonly generations: number[] = [];
  answers = 0;
  #asked = 0;
  #isOver = false;

  async make(keeper: CredentialClient, daemon: DaemonRun): Promise<void> {
    await using writer = await daemon.connect();
    await this.#store(keeper, 'copy');
    const copy = await takeCopy(keeper);
    this.answers += copy.replies;
    await this.#store(keeper, 'store');
    const writing = this.#write(writer);
    // A failure in between is reported at the end.
    writing.catch(() => undefined);
    await this.#restore(keeper, copy, 'store');
    await keeper.call('Rekey', {});
    this.answers += 1;
    await this.#store(keeper, 'later');
    await this.#restore(keeper, copy, 'later');
    this.#isOver = true;
    await writing;
  }

  /** Returns what is wrong if the power failed after so many replies to each client; undefined if nothing is. */
  explain(image: Image, answers: number, turns: number): string | undefined {
    const last = this.states.findLastIndex((state) => state.answers <= answers);
    const now = [last + 1, last].find((index) => this.states[index]?.whose === image.whose);
    if (now === undefined) return `it has the values of ${image.whose}, after those of ${this.states[last]?.whose}`;
    const told = this.generations.slice(0, turns).reduce((most, next) => Math.max(most, next), 0);
    if (image.generation < told) return `it is of generation ${image.generation}, ${told} was acknowledged`;
    return this.#explainTurn(image.turn, turns, now) ?? this.#explainKept(image.kept, now, answers);
  }

  #explainTurn(turn: number, turns: number, now: number): string | undefined {
    const restore = this.states.slice(0, now + 1).findLast((state) => state.restore !== undefined)?.restore;
    // A write sent before the restore was answered may be in what it replaced.
    const isReplaced = restore !== undefined && turns <= restore.turnsAsked;
    if (turn === turns || turn === turns + 1) return undefined;
    if (isReplaced && (turn === 0 || (turn > restore.turnsBefore && turn < turns))) return undefined;
    return `write ${turn} is there; ${turns} were acknowledged`;
  }

  #explainKept(kept: string | undefined, now: number, answers: number): string | undefined {
    const restores = this.states.flatMap(({ restore }, index) =>
      restore === undefined ? [] : [{ ...restore, index }],
    );
    const done = restores.filter(({ index }) => index <= now).at(-1);
    const begun = restores.filter(({ asked }) => asked <= answers).at(-1);
    const allowed = new Set([done?.kept ?? 'nobody', begun?.kept ?? 'nobody']);
    if (allowed.has(kept ?? 'nobody')) return undefined;
    return `what is kept is that of ${kept ?? 'nobody'}, not of ${[...allowed].join(' or ')}`;
  }

  async #store(keeper: CredentialClient, whose: string): Promise<void> {
    const credentials = NAMES.map((name) => ({ name, value: `${whose} ${name} `.padEnd(VALUE_BYTES, 'x') }));
    await keeper.call('Create', { credentials, replace: true });
    this.answers += 1;
    this.states.push({ whose, answers: this.answers });
  }

  async #restore(keeper: CredentialClient, copy: Copy, kept: string): Promise<void> {
    await this.#turns(TURNS);
    const turnsBefore = this.generations.length;
    const asked = this.answers + copy.pieces.length;
    await restoreCopy(keeper, copy);
    this.answers = asked + 1;
    const restore = { turnsBefore, turnsAsked: this.#asked, kept, asked };
    this.states.push({ whose: 'copy', answers: this.answers, restore });
    await this.#turns(TURNS);
  }

  /** Waits for so many more writes. */
  async #turns(more: number): Promise<void> {
    const enough = this.generations.length + more;
    await eventually(() => this.generations.length >= enough);
  }

  async #write(writer: CredentialClient): Promise<void> {
    while (!this.#isOver) {
      this.#asked += 1;
      const credentials = [{ name: BESIDE, value: `${this.#asked} ` }];
      this.generations.push((await writer.call('Create', { credentials, replace: true })).generation);
    }
  }
}

/** The content of a store as the disk has it after a power cut. */
interface Image {
  readonly whose: string;
  readonly turn: number;
  readonly generation: number;
  /** Whose values are in the file that a restore keeps; undefined if there is none. */
  readonly kept: string | undefined;
}

/**
 * Loses power while a daemon restores a copy and a client writes: the store must be entirely the copy or entirely the
 * old one, and no acknowledged write may be lost.
 */
export async function loseRestores({ scope, random, choose, progress }: Torture): Promise<Outcome> {
  const history = new Restores();
  const recording = await record(scope, (keeper, daemon) => history.make(keeper, daemon));
  const { events, directory } = recording;
  const breaches = new Breaches();
  const counts = countAnswers(recording);
  const places = placesOf(counts, history);
  const images = choose(3000, 100);
  const chosen = new Set(Array.from({ length: images }, () => random.pick(places)));
  const perPlace = Math.max(1, Math.floor(images / chosen.size));
  const disk = new Disk();
  const seen = new Map<string, number>();
  let tried = 0;
  for (const [place, event] of events.entries()) {
    disk.apply(event);
    const [answers = 0, turns = 0] = counts[place] ?? [];
    for (let image = 0; chosen.has(place) && image < perPlace; image += 1) {
      await using life = new BenchScope();
      const left = memoryDirectory(life);
      disk.lose(random, directory, left);
      const found = await look(life, left);
      const wrong = typeof found === 'string' ? found : history.explain(found, answers, turns);
      if (wrong !== undefined) breaches.add(`after event ${place} (${event.kind}), image ${image}: ${wrong}`);
      if (typeof found !== 'string') {
        for (const one of [found.whose, `kept of ${found.kept ?? 'nobody'}`]) seen.set(one, (seen.get(one) ?? 0) + 1);
      }
      tried += 1;
      progress(tried, chosen.size * perPlace);
    }
  }
  const [answers = 0, turns = 0] = counts.at(-1) ?? [];
  if (answers < history.answers || turns < history.generations.length) {
    breaches.add(
      `the trace has ${answers} and ${turns} answers of ${history.answers} and ${history.generations.length}`,
    );
  }
  for (const one of ['copy', 'store', 'later', 'kept of nobody', 'kept of store', 'kept of later']) {
    if (!seen.has(one)) breaches.add(`in no image there was: ${one}`);
  }
  return {
    what: '… so does a restore while others write: all of the copy or all of the store, and no generation twice',
    count: tried,
    unit: 'images',
    detail:
      `${places.length} events; ` +
      [...seen].map(([what, count]) => `${what} ${count}`).join(', ') +
      `; ${turns} writes`,
    broken: breaches.sentences,
  };
}

/**
 * Returns the numbers of replies to the keeper and the writer at each event. The keeper's connection is the first with
 * a reply.
 */
function countAnswers({ events }: Recording): (readonly [keeper: number, writer: number])[] {
  const sockets: string[] = [];
  const counts: [number, number] = [0, 0];
  return events.map((event) => {
    if (event.kind === 'answers') {
      if (!sockets.includes(event.socket)) sockets.push(event.socket);
      const who = sockets.indexOf(event.socket);
      if (who === 0 || who === 1) counts[who] += event.count;
    }
    return [...counts] as const;
  });
}

/** Returns the events of the restores, from the reply to the last piece to some after their own replies. */
function placesOf(counts: readonly (readonly [number, number])[], { states }: Restores): number[] {
  return states.flatMap(({ restore, answers }) => {
    if (restore === undefined) return [];
    const from = counts.findIndex(([keeper]) => keeper >= restore.asked);
    const to = counts.findIndex(([keeper]) => keeper >= answers) + EVENTS_AFTERWARDS;
    return Array.from({ length: Math.max(0, Math.min(to, counts.length) - from) }, (_, index) => from + index);
  });
}

/** Returns what is left of a store, or else what is wrong with it. */
async function look(scope: BenchScope, image: string): Promise<string | Image> {
  const store = await open(scope, image);
  if (typeof store === 'string') return store;
  const { opened, whose } = store;
  const generation = opened.vault.read((reader) => reader.principal('system'))?.generation ?? 0;
  const turn = Number.parseInt(opened.value(BESIDE) ?? '0', 10);
  const keptFile = path.join(image, KEPT_FILE);
  if (!existsSync(keptFile)) return { whose, turn, generation, kept: undefined };
  const beside = memoryDirectory(scope);
  copyFileSync(keptFile, path.join(beside, STORE_FILE));
  copyFileSync(path.join(image, KEY_FILE), path.join(beside, KEY_FILE));
  const kept = await open(scope, beside);
  return typeof kept === 'string' ? `what is kept: ${kept}` : { whose, turn, generation, kept: kept.whose };
}

async function open(
  scope: BenchScope,
  directory: string,
): Promise<string | { readonly opened: TestVault; readonly whose: string }> {
  let opened: TestVault;
  try {
    opened = await TestVault.open(scope, directory);
  } catch (error) {
    return `the store does not open: ${error instanceof Error ? error.message : 'unknown'}`;
  }
  if (opened.vault.isLocked) return 'no slot opens the store';
  const { problems } = await opened.fsck();
  if (problems.length > 0) return `fsck: ${problems.map(({ what, detail }) => `${what} ${detail}`).join('; ')}`;
  const whose = new Set(NAMES.map((name) => opened.value(name)?.split(' ', 1)[0] ?? 'nobody'));
  return whose.size === 1 ? { opened, whose: [...whose].join('') } : `it has values of ${[...whose].join(' and ')}`;
}
