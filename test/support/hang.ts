/**
 * After this time, what a test waits for is taken to hang, in ms: many times what it takes on a busy machine, and less
 * than the time-out of a test, which does not say what was waited for. It proves nothing about speed.
 */
export const HANG_MS = 120_000;
