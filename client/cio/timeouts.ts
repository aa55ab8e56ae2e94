import { VALIDATION_TIME_MAX_MS } from '../../src/limits.ts';

/** Time-out of a validation. The daemon ends one by itself sooner; this guards against a daemon that does not. */
export const VALIDATION_TIMEOUT_MS: number = VALIDATION_TIME_MAX_MS + 30_000;

/** Time-out of calls that read, check or seal every record, which takes minutes for a million of them. */
export const WHOLE_STORE_TIMEOUT_MS = 3_600_000;
