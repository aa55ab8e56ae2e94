import { cpSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import path from 'node:path';
import { mayRead } from '../../../daemon/access/rules.ts';
import { PageFile } from '../../../daemon/store/page-file.ts';
import { salvage } from '../../../daemon/store/salvage.ts';
import { KIND } from '../../../daemon/store/sealed-store.ts';
import type { PrincipalId, Space } from '../../../daemon/vault/records.ts';
import { memoryDirectory } from '../../daemon/vault/memory-directory.ts';
import { NOW, STORE_FILE, TestVault } from '../../daemon/vault/open-vault.ts';
import { deleteRow, editFile, leavesOf, putRow, rowsOf, zeroPage } from '../../daemon/vault/raw-file.ts';
import type { Row } from '../../daemon/vault/raw-file.ts';
import { BenchScope } from '../../bench/bench-scope.ts';
import type { Scope } from '../../support/scope.ts';
import type { Random } from '../random.ts';
import { Breaches } from '../scenario.ts';
import type { Outcome, Torture } from '../scenario.ts';
import { isNamed } from './sample.ts';

/** The kinds of rows other than credentials' rows. */
const KINDS: ReadonlyMap<number, string> = new Map(
  (['store', 'head', 'slot', 'dataKey', 'principal', 'health'] as const).map((name) => [KIND[name], name]),
);

/** Kinds without which nothing can be decrypted. */
const CAN_CLOSE: readonly number[] = [KIND.store, KIND.dataKey];
/** The number of slots: the key file's and a recovery code's. */
const SLOTS = 2;

const SPACES: readonly Space[] = ['system', 'uid:1000', 'uid:1001'];
const SETS = ['aws', 'minio'] as const;
const NAMES = [...SETS.map((set) => `cio_${set}_secret_key`), 'token', 'key.pem', 'code', 'pin'] as const;

const EVERYTHING = SPACES.flatMap((space) => NAMES.map((name) => [space, name] as const));

/** The shared credential that each principal was granted, a different one for each. */
const GRANTED: ReadonlyMap<PrincipalId, string> = new Map([
  ['uid:1000', 'token'],
  ['uid:1001', 'key.pem'],
  ['gid:100', 'code'],
  ['unit:restic.service', 'cio_aws_secret_key'],
]);
const STRANGER: PrincipalId = 'uid:1002';
/** A grant that was revoked. */
const REVOKED = { who: 'uid:1000', target: 'pin' } as const;

/** The findings of one inspection, which opens the damaged store, reads everything and repairs it. */
interface Seen {
  readonly isOpen: boolean;
  readonly isNoticed: boolean;
  readonly right: number;
  readonly grants: number;
  /** The number of grants that are in effect again though they were revoked. */
  readonly revoked: number;
  readonly wrong: readonly string[];
}

/** A store with users, grants, two slots and validated sets, and rows from earlier states of it. */
class Host {
  readonly directory: string;
  readonly recoveryCode: string;
  /**
   * The rows before a grant was revoked and a slot removed, under the same data key; and those under the data key
   * before.
   */
  readonly past: readonly { readonly when: string; readonly rows: readonly Row[] }[];
  readonly #who: string;

  private constructor(directory: string, who: string, recoveryCode: string, past: Host['past']) {
    this.directory = directory;
    this.#who = who;
    this.recoveryCode = recoveryCode;
    this.past = past;
  }

  static async make(scope: Scope, who: string): Promise<Host> {
    const directory = memoryDirectory(scope);
    const opened = await TestVault.create(scope, directory);
    const { recoveryCode = '' } = await opened.slots.add({ kind: 'recovery' });
    const { slot } = await opened.slots.add({ kind: 'recovery' });
    for (const space of SPACES) for (const name of NAMES) await opened.save(name, textOf(who, space, name), space);
    for (const [principal, target] of GRANTED) await grant(opened, principal, target);
    await grant(opened, REVOKED.who, REVOKED.target);
    const tried = (checked: number): Promise<void> =>
      opened.vault.write((writer) => {
        for (const set of SETS) {
          writer.putHealth({ space: 'system', set, generation: NAMES.length, state: 'passed', checked });
        }
      });
    await tried(NOW);
    const beforeRekey = rowsOf(opened.path);
    await opened.rekey();
    const older = rowsOf(opened.path);
    await opened.revoke(REVOKED.who, { space: 'system', kind: 'name', target: REVOKED.target });
    await opened.slots.remove(slot.id);
    await tried(NOW + 1);
    await opened.close();
    return new Host(directory, who, recoveryCode, [
      { when: 'an older copy', rows: older },
      { when: 'a copy under the data key before', rows: beforeRekey },
    ]);
  }

  get rows(): Row[] {
    return rowsOf(path.join(this.directory, STORE_FILE));
  }

  /** Looks at a copy after `tamper` has changed it. */
  async look(tamper: (storePath: string) => void): Promise<Seen> {
    await using scope = new BenchScope();
    const copy = mkdtempSync(`${this.directory}-copy-`);
    scope.after(() => rmSync(copy, { recursive: true }));
    cpSync(this.directory, copy, { recursive: true });
    tamper(path.join(copy, STORE_FILE));
    const closed = { isOpen: false, isNoticed: true, right: 0, grants: 0, revoked: 0 };
    try {
      const opened = await TestVault.open(scope, copy);
      if (opened.vault.isLocked) await opened.slots.unlockWithRecoveryCode(this.recoveryCode);
      return await this.#inspect(opened);
    } catch (error) {
      return { ...closed, wrong: isNamed(error) ? [] : [`opening: ${String(error)}`] };
    }
  }

  async #inspect(opened: TestVault): Promise<Seen> {
    const wrong: string[] = [];
    const { right, grants, revoked } = this.#read(opened, wrong);
    const { problems } = await opened.fsck();
    if (problems.length > 0) await opened.repair();
    const after = await opened.fsck();
    for (const { what, detail } of after.problems) wrong.push(`after a repair fsck finds: ${what} ${detail}`);
    // An older head, list of grants or key must not prevent a change.
    await opened.save('new', textOf(this.#who, 'system', 'new'));
    const repaired = this.#read(opened, wrong);
    if (repaired.right < right) wrong.push(`a repair takes away ${right - repaired.right} values that could be read`);
    if (repaired.grants < grants) wrong.push(`a repair takes away ${grants - repaired.grants} grants`);
    return { isOpen: true, isNoticed: problems.length > 0, right, grants, revoked, wrong };
  }

  /** Counts the values that can be read and the grants in effect; reports values and rights that must not be there. */
  #read(opened: TestVault, wrong: string[]): Pick<Seen, 'right' | 'grants' | 'revoked'> {
    const { vault } = opened;
    let [right, grants, revoked] = [0, 0, 0];
    const readable = new Set<string>();
    for (const [space, name] of EVERYTHING) {
      try {
        const found = opened.value(name, undefined, space);
        if (found === textOf(this.#who, space, name)) {
          right += 1;
          readable.add(`${space} ${name}`);
        } else if (found !== undefined) wrong.push(`${name} of ${space} has another value`);
      } catch (error) {
        if (!isNamed(error)) wrong.push(`${name} of ${space}: ${String(error)}`);
      }
    }
    for (const principal of [...GRANTED.keys(), STRANGER]) {
      const subject = { isAdministrator: false, space: undefined, principals: () => [principal] };
      for (const [space, name] of EVERYTHING) {
        if (!vault.read((reader) => mayRead(subject, reader, space, name))) continue;
        if (space === 'system' && GRANTED.get(principal) === name) {
          // Only for readable credentials: a repair drops grants whose target is gone.
          if (readable.has(`${space} ${name}`)) grants += 1;
        } else if (space === 'system' && principal === REVOKED.who && name === REVOKED.target) revoked += 1;
        else wrong.push(`${principal} may read ${name} of ${space}`);
      }
    }
    for (const set of SETS) {
      const health = vault.read((reader) => reader.health('system', set));
      if (health !== undefined && health.set !== set) wrong.push(`the health of ${set} is that of ${health.set}`);
    }
    return { right, grants, revoked };
  }
}

/**
 * Tampers with keys, the head, lists of grants and healths: flips bits, deletes, swaps, puts back older rows, and takes
 * rows from another store.
 */
export async function tamperKeysAndRights({ scope, random, choose, progress }: Torture): Promise<Outcome> {
  const host = await Host.make(scope, 'ours');
  const foreign = (await Host.make(scope, 'theirs')).rows;
  const breaches = new Breaches();
  const whole = await host.look(() => undefined);
  if (!whole.isOpen || whole.isNoticed || whole.right < EVERYTHING.length || whole.grants < GRANTED.size) {
    breaches.add(`before it is damaged, the store is not whole: ${whole.wrong.join('; ')}`);
  }
  let [looks, closed, dropped, revoked] = [0, 0, 0, 0];
  const tampered = async (
    kind: number,
    what: string,
    tamper: Tamper,
    { damaged = 1, isOlder = false }: { readonly damaged?: number; readonly isOlder?: boolean } = {},
  ): Promise<void> => {
    const place = `${KINDS.get(kind)} ${what}`;
    const seen = await host.look((file) => editFile(file, tamper));
    looks += 1;
    for (const sentence of seen.wrong) breaches.add(`${place}: ${sentence}`);
    if (!seen.isOpen) {
      closed += 1;
      if (!CAN_CLOSE.includes(kind) && !(kind === KIND.slot && damaged === SLOTS)) {
        breaches.add(`${place}: nothing opens it`);
      }
      return;
    }
    dropped += GRANTED.size - seen.grants;
    revoked += seen.revoked;
    if (!seen.isNoticed) breaches.add(`${place}: fsck does not find it`);
    if (seen.right < EVERYTHING.length)
      breaches.add(`${place}: only ${seen.right} values can be read, none was damaged`);
    if (seen.grants < GRANTED.size - (kind === KIND.principal ? damaged : 0)) {
      breaches.add(`${place}: only ${seen.grants} grants are left`);
    }
    if (seen.revoked > 0 && !isOlder) breaches.add(`${place}: a grant is there again that was revoked`);
  };
  const rows = host.rows.filter(({ kind }) => KINDS.has(kind));
  for (const [index, row] of rows.entries()) {
    const { kind, tag, body } = row;
    for (let flip = 0; flip < choose(Math.min(body.length, 200), 2); flip += 1) {
      const flipped = flippedIn(body, random);
      await tampered(kind, `${index} with a flipped bit`, (database) => putRow(database, { ...row, body: flipped }));
    }
    await tampered(kind, `${index} deleted`, (database) => deleteRow(database, row));
    const others = rows.filter((other) => other.kind === kind && !other.tag.equals(tag));
    for (const other of others.slice(0, choose(others.length, 2))) {
      await tampered(kind, `${index} with the body of another`, (database) =>
        putRow(database, { ...row, body: other.body }),
      );
      const swap: Tamper = (database) => {
        putRow(database, { ...row, body: other.body });
        putRow(database, { ...other, body });
      };
      await tampered(kind, `${index} and another, each with the body of the other`, swap, { damaged: 2 });
    }
    const strangers = foreign.filter((other) => other.kind === kind);
    for (const other of strangers.slice(0, choose(strangers.length, 1))) {
      await tampered(kind, `${index} with a body from another store`, (database) =>
        putRow(database, { ...row, body: other.body }),
      );
      if (!other.tag.equals(tag)) {
        await tampered(kind, `${index} in the place of which is one of another store`, (database) => {
          deleteRow(database, row);
          putRow(database, other);
        });
      }
    }
    progress(index + 1, rows.length);
  }
  for (const { when, rows: past } of host.past) {
    for (const before of past.filter(({ kind }) => KINDS.has(kind))) {
      const now = rows.find(({ kind, tag }) => kind === before.kind && tag.equals(before.tag));
      if (now?.body.equals(before.body) === true) continue;
      await tampered(before.kind, `put back from ${when}`, (database) => putRow(database, before), {
        isOlder: true,
      });
    }
  }
  for (const [what, wrong] of await salvaged(host)) {
    looks += 1;
    for (const sentence of wrong) breaches.add(`${what}: ${sentence}`);
  }
  if (closed === 0 || dropped === 0 || revoked === 0) {
    breaches.add(`${closed} stores did not open, ${dropped} grants were dropped, ${revoked} were there again`);
  }
  return {
    what: '… so do keys, the head, lists of grants and healths; nobody may read more, and a salvage recovers the rest',
    count: looks,
    unit: 'changes',
    detail:
      `${closed} stores did not open; ${dropped} times grants were dropped, ${revoked} times revoked ones were there again, ` +
      'which fsck finds',
    broken: breaches.sentences,
  };
}

type Tamper = Parameters<typeof editFile>[1];

/**
 * Loses each page of the table and salvages the rest. Rows needed for opening come from an older copy if they were on
 * the lost page.
 */
async function salvaged(host: Host): Promise<(readonly [what: string, wrong: readonly string[]])[]> {
  const found: (readonly [string, readonly string[]])[] = [];
  const original = path.join(host.directory, STORE_FILE);
  for (const page of leavesOf(original)) {
    const what = `salvaged without page ${page}`;
    let left = 0;
    const seen = await host.look((file) => {
      const damaged = `${file}.damaged`;
      renameSync(file, damaged);
      zeroPage(damaged, page);
      const bytes = readFileSync(damaged);
      const isLeft = ({ body }: Row): boolean => bytes.includes(body);
      left = host.rows.filter(({ kind, body }) => kind === KIND.value && bytes.includes(body)).length;
      const isOpening = ({ kind }: Row): boolean => CAN_CLOSE.includes(kind) || kind === KIND.slot;
      salvageFile(damaged, host.rows.filter(isOpening).every(isLeft) ? undefined : original, file);
    });
    const wrong = [...seen.wrong];
    if (!seen.isOpen) wrong.push('nothing opens it');
    else if (!seen.isNoticed) wrong.push('fsck does not find what is lost');
    if (seen.isOpen && seen.right === 0 && left > 0) wrong.push('no value is got back');
    found.push([what, wrong]);
  }
  return found;
}

function salvageFile(damaged: string, keysFrom: string | undefined, made: string): void {
  const file = PageFile.open(damaged);
  const copy = keysFrom === undefined ? undefined : PageFile.open(keysFrom);
  try {
    salvage(file, copy, made);
  } finally {
    file.close();
    copy?.close();
  }
}

function grant(opened: TestVault, principal: PrincipalId, target: string): Promise<void> {
  return opened.grant(principal, { space: 'system', kind: 'name', target });
}

function flippedIn(body: Buffer, random: Random): Buffer {
  const flipped = Buffer.from(body);
  const offset = random.below(body.length);
  flipped.writeUInt8(flipped.readUInt8(offset) ^ (1 << random.below(8)), offset);
  return flipped;
}

function textOf(who: string, space: Space, name: string): string {
  return `${name} of ${space}, ${who}`.padEnd(300, '.');
}
