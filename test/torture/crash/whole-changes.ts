import { cpSync } from 'node:fs';
import path from 'node:path';
import { ConnectionError, type CredentialClient, CredentialError } from '../../../client/index.ts';
import { BenchScope } from '../../bench/bench-scope.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { restoreCopy, takeCopy } from '../copy.ts';
import type { Copy } from '../copy.ts';
import { KIND } from '../../../daemon/store/sealed-store.ts';
import { STORE_FILE } from '../../daemon/vault/open-vault.ts';
import { deleteRow, editFile, rowsOf } from '../../daemon/vault/raw-file.ts';
import { Breaches } from '../scenario.ts';
import type { Outcome, Torture } from '../scenario.ts';
import { DaemonRun } from './daemon-run.ts';
import type { FileCall } from './daemon-run.ts';

/** A few pages of records, so that a change of all of them has several steps. */
const NAMES = ['a', 'b', 'c', 'd', 'e', 'f'] as const;
const VALUE_BYTES = 2500;
/** One longer value, which is the one damaged. */
const DAMAGED = 'damaged';
const DAMAGED_BYTES = 9000;

/** Far more than a change of this store makes of each; one that reaches it would never be acknowledged. */
const STEPS_MAX = 500;

/** A change of the whole store. */
interface Change {
  readonly what: string;
  /** The system calls with which a start and the change alter files; a short run takes every n-th of each. */
  readonly calls: readonly (readonly [FileCall, number])[];
  /** Damages the store beforehand; nothing unless given. */
  damage?(storePath: string): void;
  make(client: CredentialClient, copy: Copy): Promise<unknown>;
  /** The contents before and after the change. */
  readonly before: Contents;
  readonly after: Contents;
}

/** Whose values the store has, and the epoch of its data key; for a damaged store, also fsck's first finding. */
type Contents = `${'store' | 'copy'} ${number}` | `${'store' | 'copy'} ${number}, ${string}`;

const CHANGES: readonly Change[] = [
  {
    what: 'a rekey that is killed at any step is done or not done',
    calls: [
      ['pwrite64', 3],
      ['fsync', 2],
      ['ftruncate', 5],
    ],
    make: (client) => client.call('Rekey', {}),
    before: 'store 2',
    after: 'store 3',
  },
  {
    what: '… so is a restore',
    calls: [
      ['write', 12],
      ['pwrite64', 16],
      ['fsync', 6],
      ['ftruncate', 5],
      ['rename', 1],
      ['unlink', 6],
    ],
    make: restoreCopy,
    before: 'store 2',
    after: 'copy 1',
  },
  {
    what: '… so is a repair, which removes nothing else',
    calls: [
      ['pwrite64', 3],
      ['fsync', 2],
    ],
    damage: (storePath) =>
      editFile(storePath, (database) => {
        const [stray] = rowsOf(storePath, KIND.value).filter(({ body }) => body.length > DAMAGED_BYTES);
        if (stray === undefined) throw new Error('the store has nothing to be damaged');
        deleteRow(database, stray);
      }),
    make: (client) => client.call('Fsck', { repair: true }),
    before: 'store 2, missing: the current value was deleted from the file',
    after: 'store 2',
  },
];

/**
 * Kills daemons at every step of a change of the whole store, which must then be entirely as before or entirely as
 * after.
 */
export async function* wholeChanges(torture: Torture): AsyncGenerator<Outcome> {
  await using scope = new BenchScope();
  const prepared = temporaryDirectory(scope, 'cio-crash');
  const copy = await prepare(scope, prepared);
  for (const change of CHANGES) yield await killIn(change, prepared, copy, torture);
}

async function killIn(change: Change, prepared: string, copy: Copy, { choose, progress }: Torture): Promise<Outcome> {
  const breaches = new Breaches();
  let [kills, met, before, after] = [0, 0, 0, 0];
  for (const [index, [call, stride]] of change.calls.entries()) {
    const metBefore = met;
    for (let count = 1, isDone = false; !isDone; count += choose(1, stride)) {
      const place = `killed before ${call} ${count}`;
      if (count > STEPS_MAX) {
        breaches.add(`${place}: the change is never acknowledged`);
        break;
      }
      await using life = new BenchScope();
      const directory = temporaryDirectory(life, 'cio-crash');
      cpSync(prepared, directory, { recursive: true });
      change.damage?.(path.join(placesIn(directory).state, STORE_FILE));
      const daemon = new DaemonRun(life, placesIn(directory), { dieBefore: { call, count } });
      await using client = await daemon.ready();
      isDone = client !== undefined && (await isAcknowledged(change.make(client, copy)));
      const wrong = await (isDone ? daemon.kill() : daemon.end());
      if (wrong !== undefined) {
        breaches.add(`to be ${place}: ${wrong}`);
        break;
      }
      kills += 1;
      if (!daemon.isKilled) met += 1;
      const found = await contentsOf(life, directory);
      if (found === change.after) after += 1;
      else if (found === change.before && !isDone) before += 1;
      else breaches.add(`${place}${isDone ? ', acknowledged' : ''}: ${found}`);
    }
    if (met === metBefore) breaches.add(`no daemon was killed before a ${call}`);
    progress(index + 1, change.calls.length);
  }
  if (before === 0 || after < change.calls.length) breaches.add(`${before} kills came before, ${after} afterwards`);
  return {
    what: change.what,
    count: kills,
    unit: 'kills',
    detail: `${met} at the moment that was chosen; ${before} times the store was as before, ${after} times as afterwards`,
    broken: breaches.sentences,
  };
}

/** Makes a store whose values and data key differ from those of its copy. */
async function prepare(scope: BenchScope, directory: string): Promise<Copy> {
  const daemon = new DaemonRun(scope, placesIn(directory));
  await using client = await daemon.ready();
  if (client === undefined) throw new Error(`the daemon does not start: ${daemon.account}`);
  await store(client, 'copy');
  const copy = await takeCopy(client);
  await client.call('Rekey', {});
  await store(client, 'store');
  await client.call('Create', { credentials: [{ name: DAMAGED, value: 'x'.repeat(2 * DAMAGED_BYTES) }] });
  await daemon.kill();
  return copy;
}

async function store(client: CredentialClient, what: string): Promise<void> {
  const credentials = NAMES.map((name) => ({ name, value: `${what} ${name} `.padEnd(VALUE_BYTES, 'x') }));
  await client.call('Create', { credentials, replace: true });
}

async function isAcknowledged(change: Promise<unknown>): Promise<boolean> {
  try {
    await change;
    return true;
  } catch (error) {
    if (error instanceof ConnectionError) return false;
    throw error;
  }
}

/** Returns the contents of a store, see {@link Contents}, or else what is wrong. */
async function contentsOf(scope: BenchScope, directory: string): Promise<string> {
  const daemon = new DaemonRun(scope, placesIn(directory));
  await using client = await daemon.ready();
  if (client === undefined) return `the daemon does not start: ${daemon.account}`;
  const { problems } = await client.call('Fsck', {});
  const [problem] = problems;
  const whose = new Set(await Promise.all(NAMES.map((name) => whoseValue(client, name))));
  const { keyEpoch } = await client.call('Status', {});
  await daemon.kill();
  const found = problem === undefined ? '' : `, ${problem.what}: ${problem.detail}`;
  return `${whose.size === 1 ? '' : 'values of '}${[...whose].join(' and ')} ${keyEpoch}${found}`;
}

async function whoseValue(client: CredentialClient, name: string): Promise<string> {
  try {
    return (await client.call('Get', { name })).value?.split(' ')[0] ?? '';
  } catch (error) {
    if (error instanceof CredentialError) return error.code;
    throw error;
  }
}

function placesIn(directory: string): { state: string; run: string } {
  return { state: path.join(directory, 'state'), run: path.join(directory, 'run') };
}
