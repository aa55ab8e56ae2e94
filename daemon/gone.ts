/**
 * Somebody who asked and may go away before he is answered: calls back, once, when he does.
 *
 * @returns what takes the callback back
 */
export type Gone = (callback: () => void) => () => void;

/** Of somebody who stays. */
export const NEVER_GONE: Gone = () => () => undefined;
