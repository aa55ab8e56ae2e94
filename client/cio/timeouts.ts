import { VALIDATION_TIME_MAX_MS } from '../../src/limits.ts';

/** The daemon ends a validation by itself; this is for one that does not. */
export const VALIDATION_TIMEOUT_MS: number = VALIDATION_TIME_MAX_MS + 30_000;

/** Every record is read, checked or sealed anew: minutes for a million of them. */
export const WHOLE_STORE_TIMEOUT_MS = 3_600_000;
