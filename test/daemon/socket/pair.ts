import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { callerOf } from '../../../daemon/access/caller.ts';
import type { Dispatch, Reply } from '../../../daemon/dispatch.ts';
import { readPeer } from '../../../daemon/kernel/peer.ts';
import { UserDatabase } from '../../../daemon/kernel/user-database.ts';
import { Connection } from '../../../daemon/socket/connection.ts';
import { CallScheduler } from '../../../daemon/socket/call-scheduler.ts';
import { CredentialError } from '../../../src/errors.ts';
import { eventually } from '../../support/eventually.ts';
import type { Scope } from '../../support/scope.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { RawVarlink } from '../../support/varlink.ts';

/** Methods whose calls may be in progress at the same time as others of the same method. */
export const CREATE = 'io.cio.Credentials.Create';
export const GRANT = 'io.cio.Credentials.Grant';
/** A method whose calls begin one after another. */
export const GET = 'io.cio.Credentials.Get';

/** The reason given when a connection is refused or shed. */
export const BUSY: CredentialError = new CredentialError('Busy', {});

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
export async function connectPair(
  scope: Scope,
  dispatch: Dispatch,
  scheduler: CallScheduler = new CallScheduler(),
): Promise<Pair> {
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
    const connection = new Connection(socket, caller, dispatch, events, scheduler);
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

/** A scheduler whose turns the test gives by hand. */
export class ManualScheduler extends CallScheduler {
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

/** Waits long enough for the sent bytes to arrive and to be processed. */
export async function settle({ client }: Pair): Promise<void> {
  await eventually(() => client.socket.writableLength === 0);
  for (let turn = 0; turn < 20; turn += 1) await nextTurn();
}

/** Returns everything that is received until the connection ends. */
export async function receiveAll(client: RawVarlink): Promise<unknown[]> {
  const received: unknown[] = [];
  for (let reply = await client.receive(); reply !== undefined; reply = await client.receive()) received.push(reply);
  assert.equal(client.rest.length, 0, 'the last reply is whole');
  return received;
}

/** Returns messages as they are sent, each with the NUL byte at its end. */
export function messages(...texts: readonly object[]): string {
  return texts.map((text) => `${JSON.stringify(text)}\0`).join('');
}
