import type { Finding } from '../../src/validation.ts';
import { findingOf, ProbeFailure } from './failure.ts';

/** Reads a set; where it is of no use that is the finding, and undefined is returned. */
export function* readTarget<Target>(read: () => Target): Generator<Finding, Target | undefined> {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof ProbeFailure)) throw error;
    yield findingOf('shape', 'failed', error.reason, error.detail);
    return undefined;
  }
}
