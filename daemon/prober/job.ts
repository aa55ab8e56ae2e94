import type { ProbeJob } from '../../src/validation.ts';
import { asObject } from './json.ts';

/** The bytes received are not a valid job. The message quotes none of them, since a job holds secrets. */
export class JobError extends Error {
  constructor() {
    super('the bytes received are not a valid job');
    this.name = 'JobError';
  }
}

/**
 * Parses a job.
 *
 * @throws JobError
 */
export function parseJob(bytes: Uint8Array): ProbeJob {
  const job = asObject(parseJson(bytes));
  if (job === undefined) throw new JobError();
  // A daemon that was started before an upgrade may not know makeBucket.
  const { set, provider, values, restoreOnly, makeBucket = false } = job;
  const isNamed = typeof set === 'string' && typeof provider === 'string';
  if (!isNamed || typeof restoreOnly !== 'boolean' || typeof makeBucket !== 'boolean') throw new JobError();
  const fields = asObject(values);
  if (fields === undefined) throw new JobError();
  const texts = Object.entries(fields);
  if (!texts.every((entry): entry is [string, string] => typeof entry[1] === 'string')) throw new JobError();
  // Without a prototype, so that `toString` is not found as a field.
  const ownValues: Record<string, string> = Object.assign(Object.create(null), Object.fromEntries(texts));
  return { set, provider, restoreOnly, makeBucket, values: ownValues };
}

/** Drops V8's own error message, which quotes the text. */
function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    throw new JobError();
  }
}
