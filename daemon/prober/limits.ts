/** Bounds on the time and memory that a remote server, or the process that starts the prober, can make it spend. */

/** Largest job, in bytes of its JSON. A set has about a dozen values of at most 1 MiB each, and most are short. */
export const JOB_BYTES_MAX: number = 16 * 1024 * 1024;

/** The whole validation. */
export const TOTAL_MS = 60_000;

/** One step, such as a name look-up, a connection or a handshake. */
export const STEP_MS = 10_000;

/** All attempts to connect together. Less than a step, so that the outcome of each can still be reported. */
export const CONNECT_MS = 9000;

/** One request with its answer. Amazon's own tools wait 60 s for a connection, but a user waits for a validation. */
export const REQUEST_MS = 10_000;

/**
 * All requests for the machine's identity. The metadata service is one hop away, and on a machine without one nothing
 * answers. Amazon's SDKs wait one second.
 */
export const IDENTITY_MS = 3000;

/** The check of the password: one key takes half a second by restic's design, and up to twenty keys are tried. */
export const PASSWORD_MS = 45_000;

/** Pause before a request is sent for the second and last time, to a server that was busy. */
export const RETRY_PAUSE_MS = 250;

/** After a cancel: time for a write to complete, so that the object can be deleted. */
export const PUT_GRACE_MS = 1000;

/** After a cancel: time to delete the probe object. */
export const CLEAN_UP_MS = 1000;

/** Number of addresses of one name that are tried. */
export const ADDRESSES_MAX = 4;

/** Header section of an answer. This is Node's default, and servers stay within it. */
export const HEADER_BYTES_MAX: number = 16 * 1024;

/** Interim answers (1xx) to one request. No server needs more than one or two. */
export const INTERIM_ANSWERS_MAX = 8;

/** Body of an error answer. Amazon's are shorter than 1 KiB. */
export const ERROR_BYTES_MAX: number = 64 * 1024;

/**
 * Body of a list. It holds one name more than {@link KEYS_LISTED_MAX}, each of at most 1024 bytes, and encoding can
 * make a name six times as long.
 */
export const LIST_BYTES_MAX: number = 256 * 1024;

/** Pages of one list. A page may be short, or even empty, and still have a successor. */
export const LIST_PAGES_MAX = 5;

/** Keys of a repository that are listed: one more than restic tries, to see whether there are more. */
export const KEYS_LISTED_MAX = 21;

/** Object of a repository: `config` or a key file. */
export const OBJECT_BYTES_MAX: number = 64 * 1024;

/** Size of the probe object, which is written and read back. */
export const PROBE_BYTES = 64;

/** Seconds by which the clocks may differ. Amazon refuses requests from 15 minutes on; a third of that is a warning. */
export const CLOCK_SKEW_REFUSED_S: number = 15 * 60;
export const CLOCK_SKEW_WARNED_S: number = 5 * 60;
