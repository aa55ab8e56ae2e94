import type { ProbeJob } from '../../src/validation.ts';
import { asObject } from './json.ts';

/** What came is no job. Its message says nothing of it. */
export class JobError extends Error {
  constructor() {
    super('what was received is no job');
    this.name = 'JobError';
  }
}

/**
 * Reads one job.
 *
 * @throws JobError
 */
export function parseJob(bytes: Uint8Array): ProbeJob {
  const job = asObject(parseJson(bytes));
  if (job === undefined) throw new JobError();
  // A daemon of before an upgrade does not know of makeBucket.
  const { set, provider, values, restoreOnly, makeBucket = false } = job;
  const isNamed = typeof set === 'string' && typeof provider === 'string';
  if (!isNamed || typeof restoreOnly !== 'boolean' || typeof makeBucket !== 'boolean') throw new JobError();
  const fields = asObject(values);
  if (fields === undefined) throw new JobError();
  const texts = Object.entries(fields);
  if (!texts.every((entry): entry is [string, string] => typeof entry[1] === 'string')) throw new JobError();
  // Without a prototype: `toString` is no field.
  const ownValues: Record<string, string> = Object.assign(Object.create(null), Object.fromEntries(texts));
  return { set, provider, restoreOnly, makeBucket, values: ownValues };
}

/** V8's own message, which quotes the text, goes nowhere. */
function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    throw new JobError();
  }
}
