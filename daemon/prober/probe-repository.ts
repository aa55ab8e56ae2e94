import type { Finding, ProbeJob } from '../../src/validation.ts';
import { asReadFromFile } from '../../src/white-space.ts';
import { since } from './attempt.ts';
import { within } from './deadline.ts';
import { findingOf, ProbeFailure } from './failure.ts';
import { KEYS_LISTED_MAX, OBJECT_BYTES_MAX, PASSWORD_MS } from './limits.ts';
import type { ObjectStore } from './providers/object-store.ts';
import { isConfigLength, type RepositoryConfig } from './restic/config.ts';
import type { Refusal } from './restic/refusal.ts';
import { openRepository, type RepositoryFiles } from './restic/repository.ts';
import type { Begun, Steps } from './steps.ts';

const KEYS = 'keys/';

/** With another password, the repository would open. */
const PASSWORD_REASONS: ReadonlySet<Refusal['reason']> = new Set([
  'wrong_password',
  'password_surrounded',
  'too_many_keys',
]);

/** What lies where a repository should be. */
interface Found {
  readonly config: Uint8Array | undefined;
  readonly hasKeys: boolean;
}

interface Opened {
  readonly outcome: RepositoryConfig | Refusal;
  /** The one that the keys lie in. */
  readonly folder: string;
}

/** The links `repository` and `password`, begun before their turn. */
export interface RepositoryProbe {
  /** What was found, and how the rest goes on; for when it is their turn. */
  findings(): AsyncGenerator<Finding, void>;
  /** Nobody wants to know any more. */
  abandon(): void;
}

/**
 * Asks for the files of the repository, and resolves when the store is free again: mostly while a key is being made of
 * the password, which takes longer than everything else and needs no server.
 *
 * The store gets one request at a time, as ever: where a password is not that of the first key, the next one is asked for
 * when it is the turn of the password.
 */
export async function beginRepository(
  job: ProbeJob,
  store: ObjectStore,
  canList: boolean,
  steps: Steps,
): Promise<RepositoryProbe> {
  const { promise: turn, resolve: take } = Promise.withResolvers<void>();
  const found = steps.begin((signal) => find(store, canList, signal));
  const config = (await found.ended)?.config;
  const password = job.values['backup_password'] ?? '';
  const isOpening = canList && password !== '' && config !== undefined && isConfigLength(config.length);
  const opened = isOpening ? await beginPassword(store, config, password, turn, steps) : undefined;
  return {
    async *findings() {
      take();
      const isThere = yield* tellFound(found);
      if (!isThere || !canList) return;
      if (opened !== undefined) yield* tellOpened(opened);
      else
        yield findingOf('password', 'skipped', 'missing_field', {
          field: 'backup_password',
          subject: 'backup_password',
        });
    },
    abandon() {
      found.abandon();
      opened?.abandon();
    },
  };
}

async function find(store: ObjectStore, canList: boolean, signal: AbortSignal): Promise<Found> {
  const config = await store.get('config', OBJECT_BYTES_MAX, signal);
  // Keys without it are what is left of a repository, and not a place for a new one.
  const hasKeys = config === undefined && canList && (await namesIn(store, KEYS, 1, signal)).length > 0;
  return { config, hasKeys };
}

/** Resolves when the first key was read. */
async function beginPassword(
  store: ObjectStore,
  config: Uint8Array,
  text: string,
  turn: Promise<void>,
  steps: Steps,
): Promise<Begun<Opened>> {
  const { promise: isFree, resolve: free } = Promise.withResolvers<void>();
  const opened = steps.begin(async (signal) => {
    const startedMs = performance.now();
    const { folder, keyNames } = await listKeys(store, signal);
    const read = new Map<string, Uint8Array>();
    const readKey = async (name: string): Promise<Uint8Array> => {
      const known = read.get(name);
      if (known !== undefined) return known;
      if (read.size > 0) await turn;
      // One that is gone by now is a file that is no key.
      const bytes = (await store.get(folder + name, OBJECT_BYTES_MAX, signal)) ?? new Uint8Array(0);
      read.set(name, bytes);
      free();
      return bytes;
    };
    return { outcome: await open({ config, keyNames, readKey }, text, startedMs, signal), folder };
  }, PASSWORD_MS);
  await Promise.race([isFree, opened.ended]);
  return opened;
}

/** With the password as it is stored; where that is wrong, and there is time, as restic would read it from a file. */
async function open(
  files: RepositoryFiles,
  text: string,
  startedMs: number,
  signal: AbortSignal,
): Promise<Opened['outcome']> {
  const outcome = await openWith(files, text, signal);
  const plain = asReadFromFile(text);
  const isWorthIt = plain !== text && plain !== '' && since(startedMs) < PASSWORD_MS / 3;
  if (!('reason' in outcome) || outcome.reason !== 'wrong_password' || !isWorthIt) return outcome;
  try {
    // It ends before the whole step does: that the password is wrong is known.
    const again = await within(PASSWORD_MS / 2, signal, (ending) => openWith(files, plain, ending));
    return 'reason' in again ? outcome : { reason: 'password_surrounded' };
  } catch (error) {
    if (error instanceof ProbeFailure) return outcome;
    throw error;
  }
}

async function openWith(files: RepositoryFiles, text: string, signal: AbortSignal): Promise<Opened['outcome']> {
  const password = Buffer.from(text);
  try {
    return await openRepository(files, password, signal);
  } finally {
    password.fill(0);
  }
}

async function listKeys(
  store: ObjectStore,
  signal: AbortSignal,
): Promise<Pick<Opened, 'folder'> & { readonly keyNames: readonly string[] }> {
  const keyNames = await namesIn(store, KEYS, KEYS_LISTED_MAX, signal);
  if (keyNames.length > 0) return { folder: KEYS, keyNames };
  const { formerKeys } = store;
  const former = formerKeys === undefined ? [] : await namesIn(store, formerKeys, KEYS_LISTED_MAX, signal);
  return { folder: former.length > 0 ? (formerKeys ?? KEYS) : KEYS, keyNames: former };
}

/** As many names in a folder as `max`, if there are; restic, too, passes over the object that some tools make to stand for it. */
async function namesIn(store: ObjectStore, folder: string, max: number, signal: AbortSignal): Promise<string[]> {
  const names = await store.list(folder, max + 1, signal);
  return names.map((name) => name.slice(folder.length)).filter((name) => name !== '');
}

/** Whether there is a repository. */
async function* tellFound(begun: Begun<Found>): AsyncGenerator<Finding, boolean> {
  const found = yield* begun.tell('repository');
  if (found === undefined) return false;
  const { ms } = found;
  const { config, hasKeys } = found.value;
  if (hasKeys || (config !== undefined && !isConfigLength(config.length))) {
    yield { ...findingOf('repository', 'failed', 'not_a_repository', { subject: 'config' }), ms };
    return false;
  }
  if (config === undefined) {
    yield { ...findingOf('repository', 'warning', 'no_repository'), ms };
    yield findingOf('password', 'skipped', 'no_repository');
    return false;
  }
  yield { check: 'repository', state: 'passed', ms };
  return true;
}

async function* tellOpened(begun: Begun<Opened>): AsyncGenerator<Finding, void> {
  const opened = yield* begun.tell('password');
  if (opened === undefined) return;
  const { ms } = opened;
  const { outcome, folder } = opened.value;
  if (!('reason' in outcome)) {
    if (folder === KEYS) yield { check: 'password', state: 'passed', ms };
    else yield { ...findingOf('password', 'warning', 'former_layout'), ms };
    return;
  }
  const isPassword = PASSWORD_REASONS.has(outcome.reason);
  const subject = outcome.subject?.replace(/^keys\//, folder);
  const detail = { ...(isPassword ? { field: 'backup_password' } : {}), ...(subject === undefined ? {} : { subject }) };
  yield { ...findingOf('password', 'failed', outcome.reason, detail), ms };
}
