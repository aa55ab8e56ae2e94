import type { Finding } from '../../src/validation.ts';
import { findingOf, ProbeFailure } from './failure.ts';

/** Reads a set. If the set cannot be used, yields that as a finding of `shape` and returns undefined. */
export function* readTarget<Target>(read: () => Target): Generator<Finding, Target | undefined> {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof ProbeFailure)) throw error;
    yield findingOf('shape', 'failed', error.reason, error.detail);
    return undefined;
  }
}
