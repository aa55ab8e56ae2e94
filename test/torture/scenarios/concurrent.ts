import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { BenchScope } from '../../bench/bench-scope.ts';
import { DAEMON_COMMAND } from '../../bench/servers.ts';
import { startDaemon } from '../../support/daemon.ts';
import type { Daemon } from '../../support/daemon.ts';
import { root, skipUnless } from '../../support/requirements.ts';
import type { Scope } from '../../support/scope.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { RawVarlink } from '../../support/varlink.ts';
import { History } from '../concurrent/history.ts';
import type { Told } from '../concurrent/history.ts';
import { Listener } from '../concurrent/listener.ts';
import { STRANGER, Speaker } from '../concurrent/speaker.ts';
import type { Thing } from '../concurrent/thing.ts';
import type { Random } from '../random.ts';
import { Breaches, outcomesOf } from '../scenario.ts';
import type { Outcome, Scenario } from '../scenario.ts';

const PREFIX = 'io.cio.Credentials.';
const SPEAKERS = 8;
const STRANGERS = 2;

/** The number of turns of each client in a round; a turn is a few calls. */
const TURNS = 12;

/** The largest number of rounds that a daemon lives. */
const ROUNDS_PER_LIFE = 4;

/** The number of additional names, so that a list has several parts. */
const FILLERS = 600;

/** Time limit for a watch to report a committed change, in ms. */
const TELLING_MAX_MS = 20_000;
/** Time-out of a watch, in ms; longer than any run, as a watch reports nothing while nothing changes. */
const QUIET_MAX_MS = 3_600_000;

/** Limit of the part of calls that are refused. Usually a third is, because of what others did just before. */
const REFUSED_MAX = 0.6;

/** The fields of the sets; all are secret, so that a list shows nothing of their values. */
const FIELDS = ['secret_key', 'backup_password', 'session_token'] as const;

/** Few things, so that many clients meet at each. */
const THINGS: readonly Thing[] = [
  ...['aws', 'minio', 'google'].map((set) => ({
    target: set,
    names: FIELDS.map((field) => `cio_${set}_${field}`),
    isSet: true,
  })),
  ...['token', 'key.pem', 'a-b_c'].map((name) => ({ target: name, names: [name], isSet: false })),
];

/** Includes the fillers, which always exist, so that nothing is left out at the end of a part of a list or a watch. */
const WATCHED = { patterns: [...THINGS.map(({ target }) => target), 'filler-*'], owner: 0 };

/** Has many clients do everything at once, and searches for an order that explains all replies. */
export const concurrent: Scenario = {
  id: 'concurrent',
  describe: 'many clients at once, through kills, stops and restores: does some order explain every reply',
  unavailable: () => skipUnless(root) || undefined,
  run({ scope, random, choose, progress }) {
    const world = new World(temporaryDirectory(scope, 'cio-concurrent'), random);
    const rounds = choose(300, 16);
    const work = async (): Promise<void> => {
      let done = 0;
      while (done < rounds && !world.isBroken) {
        done += await world.live(Math.min(rounds - done, 1 + random.below(ROUNDS_PER_LIFE)));
        progress(done, rounds);
      }
    };
    return outcomesOf(work, () => world.outcomes());
  },
};

/** A store that outlives its daemons, and the history of all calls to it. */
class World {
  readonly #breaches: Breaches = new Breaches();
  readonly #told: Breaches = new Breaches();
  readonly #history: History = new History(THINGS);
  readonly #random: Random;
  readonly #directory: string;
  readonly #copy: string[] = [];
  #sha256 = '';
  #lives = 0;
  #tellings = 0;

  constructor(directory: string, random: Random) {
    this.#directory = directory;
    this.#random = random;
  }

  /**
   * Runs one daemon for some rounds.
   *
   * @returns how many rounds it lived
   */
  async live(rounds: number): Promise<number> {
    await using scope = new BenchScope();
    const daemon = await startDaemon(scope, {
      command: DAEMON_COMMAND,
      args: ['--system', '--validate-every', 'off'],
      stateDirectory: path.join(this.#directory, 'state'),
      runtimeDirectory: path.join(this.#directory, 'run'),
    });
    const keeper = await RawVarlink.connect(scope, daemon.socketPath);
    if (this.#lives === 0) await fill(keeper);
    // Before the watches begin, as they would report the removals.
    await this.#beginAnew(keeper);
    const clients = await this.#clients(scope, daemon, keeper);
    this.#lives += 1;
    for (let round = 1; round <= rounds; round += 1) {
      await this.#beginAnew(clients.keeper);
      const isLast = round === rounds;
      const end = isLast ? this.#random.pick(['SIGKILL', 'SIGTERM'] as const) : undefined;
      await this.#round(daemon, clients, end);
      for (const wrong of this.#history.verify()) this.#breaches.add(wrong);
      if (this.isBroken) return round;
    }
    return rounds;
  }

  get isBroken(): boolean {
    return [this.#breaches, this.#told].some(({ sentences }) => sentences.length > 0);
  }

  outcomes(): Outcome[] {
    const { answered, refused, lost, sights, givenUp } = this.#history;
    // With too many refusals, little would be tested.
    if (!this.isBroken && refused > answered * REFUSED_MAX) this.#breaches.add(`${refused} calls were refused`);
    return [
      {
        what: 'some order explains every reply: to all calls about a name or a set, with generations and versions',
        count: answered,
        unit: 'calls',
        detail: `${refused} refused, ${lost} lost in ${this.#lives} kills and stops; ${sights} things told by lists and watches; ${givenUp} times too many possibilities`,
        broken: this.#breaches.sentences,
      },
      {
        what: 'a watch tells each change once, in order, and ends with the present state',
        count: this.#tellings,
        unit: 'replies',
        detail: 'an administrator, and a user with grants',
        broken: this.#told.sentences,
      },
    ];
  }

  async #clients(scope: Scope, { socketPath }: Daemon, keeper: RawVarlink): Promise<Clients> {
    const stranger = { uid: STRANGER, gid: STRANGER };
    const connect = (isStranger: boolean): Promise<RawVarlink> =>
      RawVarlink.connect(scope, socketPath, isStranger ? stranger : undefined);
    const known = { history: this.#history, random: this.#random, things: THINGS };
    const speakers: Speaker[] = [];
    for (let count = 0; count < SPEAKERS; count += 1) speakers.push(new Speaker(await connect(false), known));
    for (let count = 0; count < STRANGERS; count += 1) speakers.push(new Speaker(await connect(true), known, true));
    const lookers = [await connect(false), await connect(true)] as const;
    const ears = [false, true].map((isStranger) => this.#listen(() => connect(isStranger), isStranger));
    return { keeper, speakers, lookers, ears };
  }

  /**
   * Removes the things about which too much may have happened. The copy is dropped, as what it has of them is unknown
   * as well.
   */
  async #beginAnew(keeper: RawVarlink): Promise<void> {
    for (const thing of this.#history.unknown) {
      const { error } = await keeper.call(`${PREFIX}Remove`, { names: [thing.target] });
      if (error !== undefined && error !== `${PREFIX}NotFound`) throw new Error(`Remove fails: ${error}`);
      this.#history.beginAnew(thing);
      this.#copy.length = 0;
    }
  }

  /** Watches until the daemon is gone, and again after a lock or a restore. */
  #listen(connect: () => Promise<RawVarlink>, isStranger: boolean): Ear {
    const ear: Ear = { listener: undefined };
    const listen = async (): Promise<void> => {
      for (;;) {
        const connection = await connect();
        const listener = new Listener(this.#history, isStranger, (wrong) => this.#told.add(wrong));
        ear.listener = listener;
        connection.send({ method: `${PREFIX}Watch`, parameters: WATCHED, more: true });
        for (;;) {
          const reply = await connection.receive(QUIET_MAX_MS);
          if (reply === undefined) return;
          if (reply.error !== undefined) break;
          this.#tellings += 1;
          listener.hear(reply.parameters ?? {});
        }
        ear.listener = undefined;
        connection.close();
        await pause(1);
      }
    };
    // Ends with the daemon, which may be gone when the watch begins again.
    void listen().catch(() => undefined);
    return ear;
  }

  async #round(
    daemon: Daemon,
    { keeper, speakers, lookers, ears }: Clients,
    end: NodeJS.Signals | undefined,
  ): Promise<void> {
    const ending: Ending = { isAsked: false };
    const all = Promise.all([
      ...speakers.map((speaker) => speaker.speak(TURNS)),
      this.#disturb(daemon, keeper, ending),
    ]);
    if (end === undefined) {
      await all;
      await fill(keeper);
      await this.#compare(lookers, ears);
      return;
    }
    // A failure before the promise is awaited is reported then.
    all.catch(() => undefined);
    await pause(this.#random.below(120));
    ending.isAsked = true;
    daemon.service.signal(end);
    await daemon.service.exited;
    await all;
    this.#history.loseTheRest();
  }

  /** Does what administrators do now and then, and what may happen to a process. */
  async #disturb(daemon: Daemon, keeper: RawVarlink, ending: Ending): Promise<void> {
    const calls = async (...methods: string[]): Promise<void> => {
      for (const method of methods) {
        keeper.send({ method: PREFIX + method, parameters: {} });
        if ((await keeper.receive()) === undefined) return;
        await pause(this.#random.below(5));
      }
    };
    await pause(this.#random.below(30));
    switch (this.#random.below(7)) {
      case 0:
        return calls('Rekey', 'Rekey');
      case 1:
        return calls('Lock', 'Unlock', 'Lock', 'Unlock');
      case 2:
        return calls('Fsck');
      case 3:
        daemon.service.signal('SIGSTOP');
        await pause(this.#random.below(60));
        if (daemon.service.exit === undefined) daemon.service.signal('SIGCONT');
        return;
      case 4:
        return this.#backup(keeper);
      case 5:
        return this.#restore(keeper, ending);
      default:
    }
  }

  async #backup(keeper: RawVarlink): Promise<void> {
    const made = this.#history.ask({ method: 'Backup', parameters: {} }, undefined);
    keeper.send({ method: `${PREFIX}Backup`, parameters: {}, more: true });
    const pieces: string[] = [];
    for (;;) {
      const reply = await keeper.receive();
      if (reply?.parameters === undefined) return;
      pieces.push(...(reply.parameters['pieces'] as string[]));
      if (reply.continues === true) continue;
      this.#sha256 = reply.parameters['sha256'] as string;
      this.#copy.splice(0, Infinity, ...pieces);
      this.#history.answer(made, { parameters: {} });
      return;
    }
  }

  async #restore(keeper: RawVarlink, ending: Ending): Promise<void> {
    if (this.#copy.length === 0) return;
    let upload: unknown;
    for (const piece of this.#copy) {
      keeper.send({
        method: `${PREFIX}UploadCopy`,
        parameters: { piece, ...(upload === undefined ? {} : { upload }) },
      });
      const reply = await keeper.receive();
      if (reply === undefined) return;
      upload = reply.parameters?.['upload'];
    }
    const made = this.#history.ask({ method: 'Restore', parameters: {} }, undefined);
    keeper.send({ method: `${PREFIX}Restore`, parameters: { upload, sha256: this.#sha256 } });
    const reply = await keeper.receive();
    if (reply === undefined) return;
    // A stopping daemon ends the check of a copy, and changes nothing.
    const isRefused = ending.isAsked && reply.error === `${PREFIX}StorageFailed`;
    if (reply.error !== undefined && !isRefused)
      throw new Error(`Restore fails: ${reply.error} ${JSON.stringify(reply.parameters)}`);
    this.#history.answer(made, { error: reply.error, parameters: {} });
  }

  /** While nobody makes calls, compares each watch with a list, once all changes have been reported. */
  async #compare(lookers: readonly RawVarlink[], ears: readonly Ear[]): Promise<void> {
    for (const [index, looker] of lookers.entries()) {
      const since = this.#history.tick();
      const reply = await looker.call(`${PREFIX}List`, WATCHED);
      const there = reply.parameters as { credentials: readonly Told[]; sets: readonly Told[] };
      const credentials = new Map<string, Told | undefined>(
        THINGS.flatMap(({ names }) => names.map((name) => [name, undefined])),
      );
      for (const told of there.credentials) credentials.set(told['name'] as string, told);
      this.#history.see(
        since,
        { credentials, sets: there.sets },
        { isStranger: index === 1, text: 'a last list tells' },
      );
      const end = performance.now() + TELLING_MAX_MS;
      let differences: readonly string[] = ['nobody listens'];
      while (performance.now() < end && differences.length > 0) {
        await pause(5);
        const listener = ears[index]?.listener;
        differences = listener?.isSettled === true ? listener.differences(there) : ['nobody listens'];
      }
      for (const difference of differences)
        this.#told.add(`${index === 1 ? 'the user' : 'the administrator'} ${difference}`);
    }
  }
}

interface Ear {
  listener: Listener | undefined;
}

/** Whether this side has asked the daemon to end. */
interface Ending {
  isAsked: boolean;
}

interface Clients {
  readonly keeper: RawVarlink;
  readonly speakers: readonly Speaker[];
  /** An administrator and a user, who list everything that they may see. */
  readonly lookers: readonly RawVarlink[];
  readonly ears: readonly Ear[];
}

/** Changes many names at once, none of which changes again, so every watch must report all of them. */
async function fill(keeper: RawVarlink): Promise<void> {
  const credentials = Array.from({ length: FILLERS }, (_, index) => ({ name: `filler-${index}`, value: 'x' }));
  const { error } = await keeper.call(`${PREFIX}Create`, { credentials, replace: true });
  if (error !== undefined) throw new Error(`Create fails: ${error}`);
}
