import type { Finding, ProbeJob } from '../../src/validation.ts';
import { findingOf } from './failure.ts';
import { PASSWORD_MS, KEYS_LISTED_MAX, OBJECT_BYTES_MAX } from './limits.ts';
import { ProbeObject } from './probe-object.ts';
import type { ObjectStore } from './providers/object-store.ts';
import { isConfigLength } from './restic/config.ts';
import { isGiven } from './providers/set-endpoint.ts';
import { openRepository } from './restic/repository.ts';
import type { Steps } from './steps.ts';
import { withoutRepository } from './without.ts';

const KEYS = 'keys/';

/** What a backup and a restore do with objects, whatever keeps them: write, read, delete, and open the repository. */
export async function* probeObjects(
  job: ProbeJob,
  store: ObjectStore,
  canList: boolean,
  steps: Steps,
): AsyncGenerator<Finding, void> {
  if (job.restoreOnly) {
    for (const check of ['write', 'read_back', 'delete'] as const) yield findingOf(check, 'skipped', 'restore_only');
  } else {
    yield* writeAndDelete(store, steps);
  }
  if (isGiven(job.values['backup_repo'])) yield* open(job, store, canList, steps);
  else yield* withoutRepository();
}

async function* writeAndDelete(store: ObjectStore, steps: Steps): AsyncGenerator<Finding, void> {
  const object = new ProbeObject(store);
  try {
    const written = yield* steps.run('write', () => object.put(steps.signal));
    if (written === undefined) {
      // It may be there all the same.
      if (await object.cleanUp()) yield leftover(object);
      return;
    }
    yield { check: 'write', state: 'passed', ms: written.ms };

    const read = yield* steps.run('read_back', (signal) => object.isReadBack(signal));
    if (read !== undefined) {
      yield read.value
        ? { check: 'read_back', state: 'passed', ms: read.ms }
        : { ...findingOf('read_back', 'failed', 'other_bytes'), ms: read.ms };
    }
    const deleted = yield* steps.run('delete', (signal) => object.delete(signal));
    if (deleted !== undefined && !object.isLeft) yield { check: 'delete', state: 'passed', ms: deleted.ms };
    if (object.isLeft) yield leftover(object);
  } catch (error) {
    if (await object.cleanUp()) yield leftover(object);
    throw error;
  } finally {
    await object.cleanUp();
  }
}

function leftover({ name }: ProbeObject): Finding {
  return findingOf('delete', 'warning', 'leftover_object', { subject: name });
}

async function* open(job: ProbeJob, store: ObjectStore, canList: boolean, steps: Steps): AsyncGenerator<Finding, void> {
  const found = yield* steps.run('repository', async (signal) => {
    const config = await store.get('config', OBJECT_BYTES_MAX, signal);
    // Keys without it are what is left of a repository, and not a place for a new one.
    const hasKeys = config === undefined && canList && (await store.list(KEYS, 1, signal)).length > 0;
    return { config, hasKeys };
  });
  if (found === undefined) return;
  const { config, hasKeys } = found.value;
  if (hasKeys || (config !== undefined && !isConfigLength(config.length))) {
    yield { ...findingOf('repository', 'failed', 'not_a_repository', { subject: 'config' }), ms: found.ms };
    return;
  }
  if (config === undefined) {
    yield { ...findingOf('repository', 'warning', 'no_repository'), ms: found.ms };
    yield findingOf('password', 'skipped', 'no_repository');
    return;
  }
  yield { check: 'repository', state: 'passed', ms: found.ms };
  if (canList) yield* openWithPassword(job, store, config, steps);
}

async function* openWithPassword(
  job: ProbeJob,
  store: ObjectStore,
  config: Uint8Array,
  steps: Steps,
): AsyncGenerator<Finding, void> {
  const { backup_password: text = '' } = job.values;
  if (text === '') {
    yield findingOf('password', 'skipped', 'missing_field', { field: 'backup_password', subject: 'backup_password' });
    return;
  }
  const password = Buffer.from(text);
  const opened = yield* steps.run(
    'password',
    async (signal) => {
      const names = await store.list(KEYS, KEYS_LISTED_MAX, signal);
      const keyNames = names.map((name) => name.slice(KEYS.length));
      const readKey = async (name: string): Promise<Uint8Array> =>
        // One that is gone by now is a file that is no key.
        (await store.get(KEYS + name, OBJECT_BYTES_MAX, signal)) ?? new Uint8Array(0);
      return openRepository({ config, keyNames, readKey }, password, signal);
    },
    PASSWORD_MS,
  );
  password.fill(0);
  if (opened === undefined) return;
  const { value, ms } = opened;
  if (!('reason' in value)) {
    yield { check: 'password', state: 'passed', ms };
    return;
  }
  const isPassword = value.reason === 'wrong_password' || value.reason === 'too_many_keys';
  const { subject } = value;
  const detail = { ...(isPassword ? { field: 'backup_password' } : {}), ...(subject === undefined ? {} : { subject }) };
  yield { ...findingOf('password', 'failed', value.reason, detail), ms };
}
