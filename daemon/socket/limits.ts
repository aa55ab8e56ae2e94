import { ITEMS_PER_CALL_MAX, MESSAGE_BYTES_MAX } from '../../src/limits.ts';

/** Bounds on what peers can make the daemon hold. */

/**
 * Most parts of a message: strings, commas, opening brackets. An item of a call has at most a dozen. A message of full
 * size made of nothing but parts would take V8 seconds to parse, and 64 bytes or more for each part.
 */
export const MESSAGE_PARTS_MAX: number = 32 * ITEMS_PER_CALL_MAX;

/** Most connections at a time; for one more, the longest idle one is closed. */
export const CONNECTIONS_MAX = 1000;

/** Most calls of one connection that are worked on at a time; the rest waits in the socket. */
export const CALLS_IN_FLIGHT_MAX = 128;

/** Most bytes of replies that wait for a peer to read; while there are more, none of its calls is taken. */
export const UNREAD_BYTES_MAX: number = 1024 * 1024;

/** Bytes of unfinished messages and unread replies that all connections of one user hold together. */
export const HELD_BYTES_PER_USER_MAX: number = 4 * MESSAGE_BYTES_MAX;

/** How long a message may take from its first byte to its last. */
export const MESSAGE_TIME_MAX_MS = 10_000;

/** How long a peer may leave its replies unread. */
export const UNREAD_TIME_MAX_MS = 30_000;

/** How often these time-outs are checked. */
export const SWEEP_INTERVAL_MS = 1000;

/** How long a stopping daemon still reads from the peers that are connected. */
export const STOP_GRACE_MS = 100;

/** How long a stopping daemon waits for its last answers to be read. */
export const STOP_TIME_MAX_MS = 5000;
