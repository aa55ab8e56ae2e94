import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from '../../../client/index.ts';
import { BenchScope } from '../../bench/bench-scope.ts';
import { DAEMON_COMMAND } from '../../bench/servers.ts';
import { Canaries } from '../../support/canary.ts';
import type { Sighting } from '../../support/canary.ts';
import { startDaemon } from '../../support/daemon.ts';
import type { Daemon } from '../../support/daemon.ts';
import { plainEnvironment } from '../../support/process.ts';
import { root, skipUnless, tracer, tracingOfOthers } from '../../support/requirements.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { Breaches, outcomesOf } from '../scenario.ts';
import type { Outcome, Scenario } from '../scenario.ts';
import { makePlaces, User } from '../secrets/features.ts';
import type { Places } from '../secrets/features.ts';
import { keysOf } from '../secrets/keys.ts';
import { countIn, memoryOf } from '../secrets/memory.ts';
import { Sampler } from '../secrets/sampler.ts';
import { Writes } from '../secrets/writes.ts';

/** Time after which deleted data is out of the WAL, and work under way is done, in ms. */
const QUIET_MS = 3000;
const SHARED_MEMORY = '/dev/shm';
/** The number of reads of each value before the memory is searched. */
const READS = 50;

/** Passes secrets through everything that takes or gives one, and then searches for them wherever they must not be. */
export const secrets: Scenario = {
  id: 'secrets',
  describe: 'planted secrets, searched in logs, errors, processes, temporary files, stores, copies and memory',
  unavailable: () => skipUnless(root, tracer, tracingOfOthers) || undefined,
  async *run({ choose, progress }) {
    const search = new Search();
    const rounds = choose(10, 1);
    const work = async (): Promise<void> => {
      for (let round = 0; round < rounds; round += 1) {
        await using scope = new BenchScope();
        await search.goThrough(scope);
        progress(round + 1, rounds);
      }
    };
    yield* outcomesOf(work, () => search.outcomes);
  },
};

/** Canaries that are also searched for one by one. */
class Planted extends Canaries {
  readonly all: Map<string, Buffer> = new Map();

  override add<Secret extends string | Uint8Array>(name: string, secret: Secret): Secret {
    this.all.set(name, Buffer.from(secret as Uint8Array));
    return super.add(name, secret);
  }
}

/** The secrets found in all rounds, and where. */
class Search {
  readonly #inProcesses: Breaches = new Breaches();
  readonly #inWords: Breaches = new Breaches();
  readonly #inFiles: Breaches = new Breaches();
  readonly #inMemory: Breaches = new Breaches();
  #samples = 0;
  #words = 0;
  #files = 0;
  #writes = 0;
  #bytes = 0;
  #memory = '';
  #planted = 0;
  #commands = 0;
  #looks = 0;

  async goThrough(scope: BenchScope): Promise<void> {
    const places = makePlaces(temporaryDirectory(scope, 'cio-secrets'));
    const daemon = await startDaemon(scope, {
      command: DAEMON_COMMAND,
      args: ['--system', '--validate-every', 'off'],
      env: { ...plainEnvironment(), HOME: places.temporary, TMPDIR: places.temporary },
    });
    const planted = new Planted();
    const writes = await Writes.watch(scope, daemon.pid, temporaryDirectory(scope, 'cio-trace'));
    const sampler = new Sampler(planted);
    const user = new User(daemon, places, planted);
    await user.storeAndRead();
    await user.openAndClose();
    await user.misspeak();
    await sampler.end();
    const written = await writes.end(planted);
    this.#writes += written.count;
    for (const sighting of written.sightings) this.#inFiles.add(sighting);
    if (written.count === 0) this.#inFiles.add('the daemon was not seen to write');
    this.#planted += planted.all.size;
    this.#commands += user.commands;
    this.#samples += sampler.samples;
    for (const sighting of sampler.sightings) this.#inProcesses.add(sighting);
    for (const { what, text } of [...user.said, { what: 'the log', text: daemon.log }]) {
      this.#words += 1;
      for (const sighting of planted.findIn(what, text)) this.#inWords.add(describe(sighting));
    }
    await sleep(QUIET_MS);
    this.#searchFiles(daemon, places, planted);
    await this.#searchMemory(daemon, planted);
  }

  get outcomes(): readonly Outcome[] {
    const count = this.#planted;
    const unit = 'secrets';
    return [
      {
        what: 'no secret is in the arguments or the environment of a process',
        count,
        unit,
        detail: `all processes, ${this.#samples} times, during ${this.#commands} commands`,
        broken: this.#inProcesses.sentences,
      },
      {
        what: '… in the log, in messages of commands, in lists and in errors',
        count,
        unit,
        detail: `${this.#words} texts`,
        broken: this.#inWords.sentences,
      },
      {
        what: '… in a store, its WAL, a backup, an export, or a temporary file, in any encoding',
        count,
        unit,
        detail: `${this.#files} files of ${this.#bytes} bytes, ${this.#writes} writes of the daemon to files`,
        broken: this.#inFiles.sentences,
      },
      {
        what: 'the memory of the daemon has no key once the store is locked',
        count: this.#looks,
        unit: 'looks',
        detail: this.#memory,
        broken: this.#inMemory.sentences,
      },
    ];
  }

  #searchFiles({ stateDirectory, runtimeDirectory }: Daemon, { temporary, written }: Places, planted: Planted): void {
    const shared = readdirSync(SHARED_MEMORY)
      .filter((name) => name.startsWith('cio-edit-'))
      .map((name) => path.join(SHARED_MEMORY, name));
    for (const directory of [stateDirectory, runtimeDirectory, temporary, written, ...shared]) {
      if (!existsSync(directory)) continue;
      for (const entry of readdirSync(directory, { recursive: true, withFileTypes: true })) {
        if (!entry.isFile()) continue;
        const file = path.join(entry.parentPath, entry.name);
        const bytes = readFileSync(file);
        this.#files += 1;
        this.#bytes += bytes.length;
        for (const sighting of planted.findIn(file, bytes)) this.#inFiles.add(describe(sighting));
      }
    }
    if (this.#files === 0) this.#inFiles.add('there was no file to look at');
  }

  /** Searches the daemon's memory, as a core dump would have it, while the store is open and once it is locked. */
  async #searchMemory({ stateDirectory, socketPath, pid }: Daemon, planted: Planted): Promise<void> {
    const keys = await keysOf(stateDirectory);
    await using client = await connect({ socket: socketPath });
    for (let turn = 0; turn < READS; turn += 1) {
      for (const set of ['leak', 'imported']) await client.call('GetSet', { set, allowIncomplete: true });
    }
    const open = count(memoryOf(pid), keys, planted);
    // The last unlock before the search is by key file, as no later call overwrites what it left in memory.
    for (const method of ['Lock', 'Unlock', 'Lock'] as const) await client.call(method, {});
    await sleep(QUIET_MS);
    const locked = count(memoryOf(pid), keys, planted);
    this.#looks += 2;
    this.#memory = `copies, open → locked: ${[...locked]
      .map(([what, copies]) => `${what} ${open.get(what) ?? 0} → ${copies}`)
      .filter((text) => !text.endsWith(' 0 → 0'))
      .join(', ')}`;
    for (const name of keys.keys()) {
      if ((locked.get(name) ?? 0) > 0) this.#inMemory.add(`${locked.get(name) ?? 0} copies of the ${name} are left`);
    }
    // Otherwise the search itself would not work.
    if ((open.get('root key') ?? 0) === 0) this.#inMemory.add('while it is open, the root key was not found either');
    if ((open.get(STORED) ?? 0) === 0) this.#inMemory.add('while it is open, no value was found either');
    await client.call('Unlock', {});
  }
}

/** The values that were stored and returned, of which V8 has strings. */
const STORED = 'values';
/** Planted secrets that open the store, each counted by itself. */
const OPENING: readonly string[] = ['passphrase', 'recovery code', 'wrong passphrase', 'wrong code'];

/** Counts the copies of each key, and of the planted secrets by kind. */
function count(
  memory: readonly Buffer[],
  keys: ReadonlyMap<string, Uint8Array>,
  planted: Planted,
): ReadonlyMap<string, number> {
  const counts = new Map([...keys].map(([name, key]) => [name, countIn(memory, key)]));
  for (const [name, secret] of planted.all) {
    const what = OPENING.includes(name) ? name : STORED;
    const wide = Buffer.from(secret.toString('utf8'), 'utf16le');
    counts.set(what, (counts.get(what) ?? 0) + countIn(memory, secret) + countIn(memory, wide));
  }
  return counts;
}

function describe({ secret, form, where }: Sighting): string {
  return `${secret} (${form}) in ${where}`;
}
