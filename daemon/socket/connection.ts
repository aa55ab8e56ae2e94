import type { Socket } from 'node:net';

import { CredentialError } from '../../src/errors.ts';
import type { Caller } from '../access/caller.ts';
import { malformed, overlapOf, toReply } from '../dispatch.ts';
import type { Answer, Dispatch, Reply } from '../dispatch.ts';
import { Departure } from '../gone.ts';
import { hungUp } from '../kernel/libc.ts';
import { descriptorOf } from '../kernel/peer.ts';
import { CallReader } from './call-reader.ts';
import type { Call } from './call-reader.ts';
import { CALLS_IN_FLIGHT_MAX, MESSAGE_TIME_MAX_MS, STOP_TIME_MAX_MS, UNREAD_TIME_MAX_MS } from './limits.ts';
import { ReplyWriter } from './reply-writer.ts';
import type { WorkTurns } from './work-turns.ts';

/** What a connection tells the server that it belongs to. */
export interface ConnectionEvents {
  /**
   * It holds so many bytes more, or less: of messages that are not complete or not answered yet, and of unread replies.
   * What is worked on when it closes is held until that is done.
   */
  onHeld(difference: number): void;
  /** Something went wrong that should not: this connection is closed, and no other one suffers. */
  onDefect(error: unknown): void;
  onClosed(connection: Connection): void;
}

/**
 * One peer: his bytes are cut into calls, which are worked on and answered in the order in which they came.
 *
 * A call begins when the ones before it have been answered, so that it sees what they did. Only calls that store
 * or grant something may follow others like them before the first of those is answered: together they are one commit.
 */
export class Connection {
  readonly caller: Caller;
  /** When something came last, or it was made; `performance.now()`. */
  lastActive: number = performance.now();
  readonly #socket: Socket;
  readonly #dispatch: Dispatch;
  readonly #events: ConnectionEvents;
  readonly #turns: WorkTurns;
  readonly #reader: CallReader = new CallReader();
  readonly #writer: ReplyWriter;
  readonly #answers: { readonly answer: Exclude<Answer, undefined>; readonly bytes: number }[] = [];
  /** A call that waits for the ones before it. */
  #held: Call | undefined;
  /** Of the calls that are worked on. */
  #inFlightBytes = 0;
  #heldBytes = 0;
  #isAnswering = false;
  /** An answer in parts is under way, which may have no end. */
  #isStreaming = false;
  /** Of what method a call may begin before the ones under way are answered. */
  #overlapping: unknown;
  /** It waits for its turn. */
  #isWaiting = false;
  #isEnding = false;
  #endingSince: number | undefined;
  #hasPeerEnded = false;
  readonly #closed: Departure = new Departure();
  readonly #ending: Departure = new Departure();

  constructor(socket: Socket, caller: Caller, dispatch: Dispatch, events: ConnectionEvents, turns: WorkTurns) {
    this.#socket = socket;
    this.caller = caller;
    this.#dispatch = dispatch;
    this.#events = events;
    this.#turns = turns;
    this.#writer = new ReplyWriter(socket, () => this.#account());
    socket.on('data', (chunk: Buffer) => this.#take(chunk));
    socket.on('drain', () => this.#resume());
    socket.on('end', () => this.#onPeerEnded());
    // A peer that goes away is no failure of ours; 'close' follows.
    socket.on('error', () => socket.destroy());
    socket.on('close', () => this.#onClosed());
  }

  /** Bytes of messages that are not complete or not answered yet, and of replies that were not read yet. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** Tells whether nothing was asked that has not been answered, and no message is under way. */
  get isIdle(): boolean {
    return !this.#isAnswering && !this.#hasWork && this.#heldBytes === 0 && this.#writer.unreadSince === undefined;
  }

  /** Of its socket; undefined once that is closed. */
  get descriptor(): number | undefined {
    return this.#socket.destroyed ? undefined : descriptorOf(this.#socket);
  }

  /** Tells whether nothing more is taken, and it closes once what was asked is answered. */
  get isEnding(): boolean {
    return this.#isEnding;
  }

  /** Answers what was asked, and closes. */
  finish(): void {
    this.#end();
    this.#closeIfDone();
  }

  /** Tells the peer why, after the answers to what was begun, and closes. What else he asked is not begun. */
  refuse(error: CredentialError): void {
    this.#answerLast(toReply(error));
    this.#closeIfDone();
  }

  /** Gives back what it holds, at once. */
  drop(error: CredentialError): void {
    if (this.#socket.writableLength > 0) this.destroy();
    else this.refuse(error);
  }

  /** Closes at once, whatever is under way. */
  destroy(): void {
    this.#socket.destroy();
  }

  /**
   * Ends a peer that takes too long with its message, or with reading, or that is gone while an answer in parts is made
   * for it; who makes another answer is told. The end of what it sends does not tell that: it may have closed its own half only.
   *
   * @param now `performance.now()`
   */
  checkTimes(now: number): void {
    const hasPassed = (since: number | undefined, limitMs: number): boolean =>
      since !== undefined && now - since > limitMs;
    if (hasPassed(this.#writer.unreadSince, UNREAD_TIME_MAX_MS) || hasPassed(this.#endingSince, STOP_TIME_MAX_MS))
      this.destroy();
    else if (this.#isAnswering && this.#hasPeerLeft()) this.#onPeerLeft();
    else if (!this.#isWaiting && hasPassed(this.#reader.messageSince, MESSAGE_TIME_MAX_MS))
      this.refuse(new CredentialError('TimedOut', {}));
  }

  #hasPeerLeft(): boolean {
    const { descriptor } = this;
    return descriptor === undefined || hungUp([descriptor]).length > 0;
  }

  /** What else he asked is begun all the same: he may have wanted no answer to it. */
  #onPeerLeft(): void {
    if (this.#isStreaming) this.destroy();
    else this.#closed.tell();
  }

  get #hasWork(): boolean {
    return this.#reader.hasMore || this.#held !== undefined;
  }

  #take(chunk: Buffer): void {
    if (this.#isEnding) {
      this.#reader.discard(chunk);
      return;
    }
    this.lastActive = performance.now();
    this.#reader.push(chunk);
    this.#work();
  }

  /** Begins the calls that are there, as far as their order, the bounds and the time of others allow. */
  #work(): void {
    if (this.#hasWork && (this.#isWaiting || !this.#turns.hasTime)) this.#waitForTurn();
    else this.#workSlice();
  }

  #workSlice(): void {
    const start = performance.now();
    const end = start + this.#turns.sliceMs;
    let isOver = false;
    try {
      while (this.#hasRoom() && !isOver) {
        const call = this.#held ?? this.#nextCall();
        if (call === undefined) break;
        const overlap = overlapOf(call.message);
        this.#held = this.#isAnswering && (overlap === undefined || overlap !== this.#overlapping) ? call : undefined;
        if (this.#held !== undefined) break;
        this.#overlapping = overlap;
        this.#begin(call);
        isOver = performance.now() >= end;
      }
    } catch (error) {
      if (!(error instanceof CredentialError)) {
        this.#fail(error);
        return;
      }
      this.#answerLast(toReply(error));
    }
    this.#writer.flush();
    if (this.#hasWork) this.#socket.pause();
    this.#account();
    this.#closeIfDone();
    this.#turns.note(performance.now() - start);
    if (isOver && this.#hasWork) this.#waitForTurn();
  }

  /** Nothing more is read meanwhile. */
  #waitForTurn(): void {
    this.#socket.pause();
    if (this.#isWaiting) return;
    this.#isWaiting = true;
    const since = performance.now();
    this.#turns.wait(this.caller.uid, () => {
      this.#isWaiting = false;
      this.#reader.leaveOut(performance.now() - since);
      this.#resume();
    });
  }

  /** Undefined where there is none, or no valid one: that has been answered then. */
  #nextCall(): Call | undefined {
    const call = this.#reader.next();
    if (call !== 'not_json') return call;
    this.#answerLast(malformed('not_json'));
    return undefined;
  }

  #begin({ message, bytes }: Call): void {
    const answer = this.#dispatch(this.caller, message, this.#closed.gone, this.#ending.gone);
    if (answer === undefined) return;
    if (!this.#isAnswering && isReply(answer)) this.#writer.add(answer);
    else this.#enqueue(answer, bytes);
  }

  /** Answers, after what was asked before, and takes nothing more: after such a message there is no telling what follows. */
  #answerLast(reply: Reply): void {
    this.#end();
    this.#forget();
    this.#enqueue(reply, 0);
  }

  #enqueue(answer: Exclude<Answer, undefined>, bytes: number): void {
    this.#answers.push({ answer, bytes });
    this.#inFlightBytes += bytes;
    if (this.#isAnswering) return;
    this.#isAnswering = true;
    this.#answerAll().catch((error: unknown) => {
      // Those behind it have nobody left who waits for them.
      this.#answers.length = 0;
      this.#inFlightBytes = 0;
      this.#fail(error);
    });
  }

  async #answerAll(): Promise<void> {
    for (let next = this.#answers[0]; next !== undefined; next = this.#answers[0]) {
      const { answer, bytes } = next;
      if (isReply(answer)) {
        this.#writer.addForThisTurn(answer);
      } else if (answer instanceof Promise) {
        const reply = await answer;
        if (reply !== undefined) this.#writer.addForThisTurn(reply);
      } else {
        this.#isStreaming = true;
        for await (const reply of answer) {
          if (this.#socket.destroyed) break;
          this.#writer.add(reply);
          if (!this.#writer.flush()) await this.#writer.drained();
        }
        this.#isStreaming = false;
      }
      this.#answers.shift();
      this.#inFlightBytes -= bytes;
      this.#account();
    }
    this.#isAnswering = false;
    this.#resume();
  }

  #hasRoom(): boolean {
    return this.#answers.length < CALLS_IN_FLIGHT_MAX && !this.#writer.isFull;
  }

  #resume(): void {
    this.#writer.noteRead();
    this.#account();
    if (!this.#hasRoom() || this.#socket.destroyed) return;
    this.#work();
    if (!this.#hasWork && !this.#isEnding) this.#socket.resume();
  }

  /** Tells the server what is held now; it may end this connection for it. */
  #account(): void {
    const heldBytes =
      this.#reader.pendingBytes + this.#writer.unreadBytes + this.#inFlightBytes + (this.#held?.bytes ?? 0);
    const difference = heldBytes - this.#heldBytes;
    if (difference === 0) return;
    this.#heldBytes += difference;
    this.#events.onHeld(difference);
  }

  /** What is worked on goes on, and is counted until then. */
  #fail(error: unknown): void {
    this.#events.onDefect(error);
    this.#writer.flush();
    this.destroy();
  }

  #end(): void {
    this.#isEnding = true;
    this.#endingSince ??= performance.now();
    this.#socket.pause();
    this.#ending.tell();
  }

  /** Drops what was not begun. */
  #forget(): void {
    this.#held = undefined;
    this.#reader.wipe();
    this.#account();
  }

  #onPeerEnded(): void {
    this.#hasPeerEnded = true;
    this.#closeIfDone();
  }

  /** Half of a message stays unanswered; everything else that was asked has its answer before the end. */
  #closeIfDone(): void {
    const isDone = !this.#isAnswering && !this.#hasWork;
    if (!(this.#isEnding || this.#hasPeerEnded) || !isDone) return;
    this.#writer.flush();
    this.#socket.destroySoon();
  }

  #onClosed(): void {
    this.#forget();
    this.#closed.tell();
    this.#events.onClosed(this);
  }
}

function isReply(answer: Exclude<Answer, undefined>): answer is Reply {
  return !(answer instanceof Promise) && !(Symbol.asyncIterator in answer);
}
