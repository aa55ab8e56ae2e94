import type { Scope } from '../../support/scope.ts';

/** Another program that keeps secrets, set up as by a user, with one secret in it. */
export interface Peer {
  readonly name: string;
  /** How it was set up, for readers of the figures. */
  readonly how: string;
  /** Reads by its command line, as a whole process, and checks the value. @returns ms */
  readonly readCommand: () => number;
  /** Writes by its command line, as a whole process; undefined if that needs a terminal. @returns ms */
  readonly writeCommand?: () => number;
  /** Calls over its socket, one at a time; undefined if it has none. @returns calls per second */
  readonly socket?: { reads(calls: number): Promise<number>; writes(calls: number): Promise<number> };
}

/** Sets up a peer, or returns what this machine lacks for it. */
export type MakePeer = (scope: Scope) => Promise<Peer | string>;

export const SECRET = 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY';
