import type { Finding, ProbeJob } from '../../src/validation.ts';
import { findingOf } from './failure.ts';
import { ProbeObject } from './probe-object.ts';
import { startRepositoryProbe } from './probe-repository.ts';
import type { ObjectStore } from './providers/object-store.ts';
import { isGiven } from './providers/set-endpoint.ts';
import { skippedWithoutRepository } from './skipped-findings.ts';
import type { Steps } from './steps.ts';

/** Tests what a backup and a restore do with objects in any store: write, read, delete, and open the repository. */
export async function* probeObjects(
  job: ProbeJob,
  store: ObjectStore,
  canList: boolean,
  steps: Steps,
): AsyncGenerator<Finding, void> {
  if (job.restoreOnly) {
    for (const check of ['write', 'read_back', 'delete'] as const) yield findingOf(check, 'skipped', 'restore_only');
  }
  const hasRepository = isGiven(job.values['backup_repo']);
  const repository = hasRepository ? await startRepositoryProbe(job, store, canList, steps) : undefined;
  try {
    if (!job.restoreOnly) yield* writeAndDelete(store, steps);
    if (repository !== undefined) yield* repository.findings();
    else yield* skippedWithoutRepository();
  } finally {
    repository?.abandon();
  }
}

async function* writeAndDelete(store: ObjectStore, steps: Steps): AsyncGenerator<Finding, void> {
  const object = new ProbeObject(store);
  try {
    const written = yield* steps.run('write', () => object.put(steps.signal));
    if (written === undefined) {
      // The object may exist nevertheless.
      if (await object.cleanUp(steps.cancel)) yield leftover(object);
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
    if (deleted !== undefined && !object.isLeftover) yield { check: 'delete', state: 'passed', ms: deleted.ms };
    // If the deletion timed out or its answer was lost, it is repeated here.
    if (await object.cleanUp(steps.cancel)) yield leftover(object);
  } catch (error) {
    if (await object.cleanUp(steps.cancel)) yield leftover(object);
    throw error;
  } finally {
    await object.cleanUp(steps.cancel);
  }
}

function leftover({ name }: ProbeObject): Finding {
  return findingOf('delete', 'warning', 'leftover_object', { subject: name });
}
