import type { Scope } from '../../support/scope.ts';

/** Another program that keeps secrets, with one secret in it, as a user has it. */
export interface Peer {
  readonly name: string;
  /** How it was set up, for whoever reads the figures. */
  readonly how: string;
  /** One read by its command line, as a whole process; checks the value. @returns ms */
  readonly readCommand: () => number;
  /** One write by its command line, as a whole process; undefined where that cannot be without a terminal. @returns ms */
  readonly writeCommand?: () => number;
  /** Over its socket, one at a time; undefined where there is none. @returns calls per second */
  readonly socket?: { reads(calls: number): Promise<number>; writes(calls: number): Promise<number> };
}

/** Sets one up, or says what is missing on this machine. */
export type MakePeer = (scope: Scope) => Promise<Peer | string>;

export const SECRET = 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY';
