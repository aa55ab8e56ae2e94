import type { Finding, ProbeJob } from '../../src/validation.ts';
import { asReadFromFile } from '../../src/white-space.ts';
import { elapsedMs } from './attempt.ts';
import { withTimeout } from './deadline.ts';
import { findingOf, ProbeFailure } from './failure.ts';
import { KEYS_LISTED_MAX, OBJECT_BYTES_MAX, PASSWORD_MS } from './limits.ts';
import type { ObjectStore } from './providers/object-store.ts';
import { isConfigLength, type RepositoryConfig } from './restic/config.ts';
import type { Refusal } from './restic/refusal.ts';
import { openRepository, type RepositoryFiles } from './restic/repository.ts';
import type { StartedStep, Steps } from './steps.ts';

const KEYS = 'keys/';

/** Reasons for which the field `backup_password` is at fault. */
const PASSWORD_REASONS: ReadonlySet<Refusal['reason']> = new Set([
  'wrong_password',
  'password_surrounded',
  'too_many_keys',
]);

/** What was found at the place of the repository. */
interface Found {
  readonly config: Uint8Array | undefined;
  readonly hasKeys: boolean;
}

interface Opened {
  readonly outcome: RepositoryConfig | Refusal;
  /** The folder of the keys. */
  readonly folder: string;
}

/** The checks `repository` and `password`, started ahead of their turn. */
export interface RepositoryProbe {
  /** Reports both checks when it is their turn, and lets the check of the password go on to further keys. */
  findings(): AsyncGenerator<Finding, void>;
  /** Cancels the checks if their results are not needed any more. */
  abandon(): void;
}

/**
 * Requests the files of the repository, and resolves when the store is free for other requests. Usually a key is then
 * being derived from the password, which takes longer than everything else and needs no server.
 *
 * The store gets one request at a time, as always: if the password does not fit the first key, the next key is
 * requested only when it is the turn of the check `password`.
 */
export async function startRepositoryProbe(
  job: ProbeJob,
  store: ObjectStore,
  canList: boolean,
  steps: Steps,
): Promise<RepositoryProbe> {
  const { promise: turn, resolve: takeTurn } = Promise.withResolvers<void>();
  const found = steps.start((signal) => find(store, canList, signal));
  const config = (await found.ended)?.config;
  const password = job.values['backup_password'] ?? '';
  const isOpening = canList && password !== '' && config !== undefined && isConfigLength(config.length);
  const opened = isOpening ? await startPasswordCheck(store, config, password, turn, steps) : undefined;
  return {
    async *findings() {
      takeTurn();
      const exists = yield* reportRepository(found);
      if (!exists || !canList) return;
      if (opened !== undefined) yield* reportPassword(opened);
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
  // Keys without a config are the remains of a repository, and not an empty place for a new one.
  const hasKeys = config === undefined && canList && (await namesIn(store, KEYS, 1, signal)).length > 0;
  return { config, hasKeys };
}

/** Starts the check of the password, and resolves when the first key file was read. */
async function startPasswordCheck(
  store: ObjectStore,
  config: Uint8Array,
  text: string,
  turn: Promise<void>,
  steps: Steps,
): Promise<StartedStep<Opened>> {
  const { promise: isFree, resolve: signalFree } = Promise.withResolvers<void>();
  const opened = steps.start(async (signal) => {
    const startedMs = performance.now();
    const { folder, keyNames } = await listKeys(store, signal);
    const read = new Map<string, Uint8Array>();
    const readKey = async (name: string): Promise<Uint8Array> => {
      const known = read.get(name);
      if (known !== undefined) return known;
      if (read.size > 0) await turn;
      // A key file that was deleted meanwhile counts as one that is not valid.
      const bytes = (await store.get(folder + name, OBJECT_BYTES_MAX, signal)) ?? new Uint8Array(0);
      read.set(name, bytes);
      signalFree();
      return bytes;
    };
    return { outcome: await open({ config, keyNames, readKey }, text, startedMs, signal), folder };
  }, PASSWORD_MS);
  await Promise.race([isFree, opened.ended]);
  return opened;
}

/**
 * Opens the repository with the password as it is stored. If that is wrong and there is time, tries the password again
 * as restic would read it from a file.
 */
async function open(
  files: RepositoryFiles,
  text: string,
  startedMs: number,
  signal: AbortSignal,
): Promise<Opened['outcome']> {
  const outcome = await openWith(files, text, signal);
  const plain = asReadFromFile(text);
  const isWorthIt = plain !== text && plain !== '' && elapsedMs(startedMs) < PASSWORD_MS / 3;
  if (!('reason' in outcome) || outcome.reason !== 'wrong_password' || !isWorthIt) return outcome;
  try {
    // A time-out before that of the whole step: the result that the stored password is wrong must not get lost.
    const again = await withTimeout(PASSWORD_MS / 2, signal, (ending) => openWith(files, plain, ending));
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
  const { legacyKeysFolder } = store;
  const former = legacyKeysFolder === undefined ? [] : await namesIn(store, legacyKeysFolder, KEYS_LISTED_MAX, signal);
  return { folder: former.length > 0 ? (legacyKeysFolder ?? KEYS) : KEYS, keyNames: former };
}

/**
 * Lists the names in a folder: at least `max` of them, if there are as many. One more is requested, because the object
 * that some tools create to represent the folder itself is skipped, as restic does.
 */
async function namesIn(store: ObjectStore, folder: string, max: number, signal: AbortSignal): Promise<string[]> {
  const names = await store.list(folder, max + 1, signal);
  return names.map((name) => name.slice(folder.length)).filter((name) => name !== '');
}

/** Reports the check `repository`, and returns whether there is a repository. */
async function* reportRepository(started: StartedStep<Found>): AsyncGenerator<Finding, boolean> {
  const found = yield* started.report('repository');
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

async function* reportPassword(started: StartedStep<Opened>): AsyncGenerator<Finding, void> {
  const opened = yield* started.report('password');
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
