/** A problem that the user can fix. The message says how. */
export class BootstrapError extends Error {}
