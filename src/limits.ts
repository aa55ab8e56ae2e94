/**
 * The limits that client and daemon share. A limit that only one of them needs is defined where it is used.
 */

/** Longest name of a credential, in characters (all of them ASCII). */
export const NAME_LENGTH_MAX = 128;

/** Largest value, in bytes: the size that systemd accepts for one credential (`CREDENTIAL_SIZE_MAX`). */
export const VALUE_BYTES_MAX: number = 1024 * 1024;

/**
 * Largest message in either direction, in bytes without its NUL. It has room for a value of the largest size in the
 * longest form that JSON has for text: six characters for a control character.
 */
export const MESSAGE_BYTES_MAX: number = 8 * 1024 * 1024;

/** Most names, credentials, patterns or grantees in one call. */
export const ITEMS_PER_CALL_MAX = 1000;

/** The largest uid and gid; the one above stands for "none" (`(uid_t) -1`). */
export const ID_MAX: number = 2 ** 32 - 2;

/** Longest path of a Unix socket, in bytes (`sun_path` less its NUL, unix(7)). Node silently truncates a longer one. */
export const SOCKET_PATH_BYTES_MAX = 107;

/**
 * Most credentials and sets that all watchers of one user remember together, at some 100 to 250 bytes each. A user who
 * is no administrator sees a few thousand at most; an administrator who has more can watch some of them by pattern.
 */
export const WATCHED_PER_USER_MAX = 100_000;

/** Longest validation, in milliseconds. After that the daemon ends a hanging prober, whose own limit is shorter. */
export const VALIDATION_TIME_MAX_MS = 90_000;

/** Most findings of one validation. */
export const FINDINGS_MAX = 64;

/** Longest subject of a finding, in characters (all of them ASCII). */
export const SUBJECT_LENGTH_MAX = 200;
