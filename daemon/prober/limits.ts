/** Bounds on what a far server, or whoever starts this process, may cost it. */

/** Largest job, in bytes of its JSON: a set has some dozen values of at most 1 MiB, of which most are short. */
export const JOB_BYTES_MAX: number = 16 * 1024 * 1024;

/** Whole validation. */
export const TOTAL_MS = 60_000;

/** One step: a name looked up, a connection, a handshake. */
export const STEP_MS = 10_000;

/** All tries to connect together: less than a step, so that it can still be told what became of each. */
export const CONNECT_MS = 9000;

/** One request with its answer. Amazon's own tools give up on a connection after 60 s; a validation is waited for. */
export const REQUEST_MS = 10_000;

/** The machine's identity: its service is one hop away, and where there is none nobody answers. Amazon's SDKs wait a second. */
export const IDENTITY_MS = 3000;

/** The proof of the password: a key takes restic half a second by design, and there may be twenty. */
export const PASSWORD_MS = 45_000;

/** A server that was busy is asked once more, after this pause. */
export const RETRY_PAUSE_MS = 250;

/** After a cancel: how long an object that is being written may take to be there, so that it can be taken away. */
export const PUT_GRACE_MS = 1000;

/** After a cancel: how long it may take to take the probe object away. */
export const CLEAN_UP_MS = 1000;

/** Addresses of one name that are tried. */
export const ADDRESSES_MAX = 4;

/** Head of an answer. Node's default, which servers keep to. */
export const HEADER_BYTES_MAX: number = 16 * 1024;

/** Answers that are none yet (1xx) before the one to a request: a server has little to say with one or two. */
export const INTERIM_ANSWERS_MAX = 8;

/** Body of an answer that says what went wrong. Amazon's have less than 1 KiB. */
export const ERROR_BYTES_MAX: number = 64 * 1024;

/** List of one name more than {@link KEYS_LISTED_MAX}, of at most 1024 bytes each, which encoding can make six times as long. */
export const LIST_BYTES_MAX: number = 256 * 1024;

/** A page of a list may be short, even empty, and have a next one. */
export const LIST_PAGES_MAX = 5;

/** One more than restic tries, so that it is seen where there are more. */
export const KEYS_LISTED_MAX = 21;

/** An object of a repository that is read: `config` or the file of a key. */
export const OBJECT_BYTES_MAX: number = 64 * 1024;

/** What is written and read back. */
export const PROBE_BYTES = 64;

/** Seconds by which the clocks may differ. Amazon refuses from 15 minutes on; a third of that is worth a word. */
export const CLOCK_SKEW_REFUSED_S: number = 15 * 60;
export const CLOCK_SKEW_WARNED_S: number = 5 * 60;
