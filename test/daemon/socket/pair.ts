import { createServer } from 'node:net';
import { join } from 'node:path';
import { callerOf } from '../../../daemon/access/caller.ts';
import type { Dispatch, Reply } from '../../../daemon/dispatch.ts';
import { readPeer } from '../../../daemon/kernel/peer.ts';
import { UserDatabase } from '../../../daemon/kernel/user-database.ts';
import { Connection } from '../../../daemon/socket/connection.ts';
import { WorkTurns } from '../../../daemon/socket/work-turns.ts';
import type { Scope } from '../../support/scope.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { RawVarlink } from '../../support/varlink.ts';

/** A connection with both of its ends. */
export interface Pair {
  readonly connection: Connection;
  readonly client: RawVarlink;
  /** The bytes that the connection has reported as held, now and at most. */
  readonly held: { now: number; most: number };
  readonly defects: unknown[];
  /** The number of calls that were reported as long. */
  readonly long: { calls: number };
  readonly closed: Promise<void>;
}

/** Makes a connection over a real socket. */
export async function connectPair(scope: Scope, dispatch: Dispatch, turns: WorkTurns = new WorkTurns()): Promise<Pair> {
  const path = join(temporaryDirectory(scope), 'socket');
  const held = { now: 0, most: 0 };
  const defects: unknown[] = [];
  const long = { calls: 0 };
  const closed = Promise.withResolvers<void>();
  const accepted = Promise.withResolvers<Connection>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    const caller = callerOf(readPeer(socket), new UserDatabase(), 0);
    const events = {
      onHeld(difference: number): void {
        held.now += difference;
        held.most = Math.max(held.most, held.now);
      },
      onDefect: (error: unknown) => void defects.push(error),
      onClosed: () => closed.resolve(),
      onLongCall: () => void (long.calls += 1),
    };
    const connection = new Connection(socket, caller, dispatch, events, turns);
    scope.after(() => connection.destroy());
    accepted.resolve(connection);
  });
  await new Promise<void>((resolve) => void server.listen(path, resolve));
  scope.after(() => void server.close());
  const client = await RawVarlink.connect(scope, path);
  return { connection: await accepted.promise, client, held, defects, long, closed: closed.promise };
}

/** Dispatches calls that the test answers by hand, in any order. */
export class ManualDispatch {
  /** The messages of the calls that were begun, in order. */
  readonly begun: unknown[] = [];
  readonly #answers: ((reply: Reply) => void)[] = [];

  readonly dispatch: Dispatch = (_caller, message) => {
    this.begun.push(message);
    return new Promise<Reply>((resolve) => this.#answers.push(resolve));
  };

  /** Answers the call that was begun at this index. */
  answer(index: number, parameters: object = { index }): void {
    this.#answers[index]?.({ parameters });
  }
}

/** Turns that the test gives by hand. */
export class ManualTurns extends WorkTurns {
  isTime = true;
  readonly jobs: (() => void)[] = [];

  override get hasTime(): boolean {
    return this.isTime;
  }

  override wait(_uid: number, work: () => void): void {
    this.jobs.push(work);
  }

  /** Runs all waiting jobs. */
  begin(): void {
    this.isTime = true;
    for (const work of this.jobs.splice(0)) work();
  }
}

/** Replies at once, with the message itself. */
export const echo: Dispatch = (_caller, message) => ({ parameters: message as object });
