import type { Socket } from 'node:net';

import { CredentialError } from '../../src/errors.ts';
import type { Caller } from '../access/caller.ts';
import { malformed, batchableMethod, toReply } from '../dispatch.ts';
import type { Answer, Dispatch, Reply } from '../dispatch.ts';
import { Emitter } from '../emitter.ts';
import { hungUp } from '../kernel/libc.ts';
import { descriptorOf } from '../kernel/peer.ts';
import { CallReader } from './call-reader.ts';
import type { Call } from './call-reader.ts';
import { CALLS_IN_FLIGHT_MAX, MESSAGE_TIME_MAX_MS, STOP_TIME_MAX_MS, UNREAD_TIME_MAX_MS } from './limits.ts';
import { ReplyWriter } from './reply-writer.ts';
import type { CallScheduler } from './call-scheduler.ts';

/** What a connection reports to its server. */
export interface ConnectionEvents {
  /**
   * The connection holds so many bytes more, or less: of messages that are incomplete or unanswered, and of unread
   * replies. A call under way when the connection closes counts until it is done.
   */
  onHeld(difference: number): void;
  /** An unexpected error: this connection is closed, others are not affected. */
  onDefect(error: unknown): void;
  onClosed(connection: Connection): void;
  /** A call took long, and may have used much memory. */
  onLongCall(): void;
}

/** A call above this may have read very many records. */
const LONG_CALL_MS = 1000;

/**
 * The connection of one peer: cuts its bytes into calls, runs them and answers them in the order in which they came.
 *
 * A call begins when the ones before it have been answered, so that it sees their effects. Only calls that store or
 * grant something may begin while others of the same method are unanswered ({@link batchableMethod}): they are one
 * commit.
 */
export class Connection {
  readonly caller: Caller;
  /** When bytes last arrived, or the connection was made; `performance.now()`. */
  lastActive: number = performance.now();
  readonly #socket: Socket;
  readonly #dispatch: Dispatch;
  readonly #events: ConnectionEvents;
  readonly #scheduler: CallScheduler;
  readonly #reader: CallReader = new CallReader();
  readonly #writer: ReplyWriter;
  readonly #answers: { readonly answer: Exclude<Answer, undefined>; readonly bytes: number }[] = [];
  /** A call that waits for the ones before it. */
  #deferred: Call | undefined;
  /** Bytes of the messages of calls under way. */
  #inFlightBytes = 0;
  #heldBytes = 0;
  #isAnswering = false;
  /** A streamed answer is under way, which may be endless. */
  #isStreaming = false;
  /** The method of which a call may begin before the calls under way are answered; see {@link batchableMethod}. */
  #batching: unknown;
  /** The connection waits for its turn in {@link CallScheduler}. */
  #isWaitingForTurn = false;
  #isEnding = false;
  #endingSince: number | undefined;
  #hasPeerEnded = false;
  readonly #closed: Emitter = new Emitter();
  readonly #ending: Emitter = new Emitter();

  constructor(socket: Socket, caller: Caller, dispatch: Dispatch, events: ConnectionEvents, scheduler: CallScheduler) {
    this.#socket = socket;
    this.caller = caller;
    this.#dispatch = dispatch;
    this.#events = events;
    this.#scheduler = scheduler;
    this.#writer = new ReplyWriter(socket, () => this.#reportHeldBytes());
    socket.on('data', (chunk: Buffer) => this.#onData(chunk));
    socket.on('drain', () => this.#resume());
    socket.on('end', () => this.#onPeerEnded());
    // A peer that goes away is not a failure of the daemon; 'close' follows.
    socket.on('error', () => socket.destroy());
    socket.on('close', () => this.#onClosed());
  }

  /** Bytes of messages that are incomplete or unanswered, and of replies that were not read yet. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** Tells whether every call has been answered, every reply was read, and no message is incomplete. */
  get isIdle(): boolean {
    return !this.#isAnswering && !this.#hasWork && this.#heldBytes === 0 && this.#writer.unreadSince === undefined;
  }

  /** File descriptor of the socket; undefined once the socket is closed. */
  get descriptor(): number | undefined {
    return this.#socket.destroyed ? undefined : descriptorOf(this.#socket);
  }

  /** Tells whether the connection takes no more calls, and closes once those it has taken are answered. */
  get isEnding(): boolean {
    return this.#isEnding;
  }

  /** Since when the connection is ending; `performance.now()`. */
  get endingSince(): number | undefined {
    return this.#endingSince;
  }

  /** Takes no more, answers the calls already received, and closes. */
  finish(): void {
    this.#end();
    this.#closeIfDone();
  }

  /** Sends the error behind the answers to calls under way, and closes. Calls that have not begun are dropped. */
  refuse(error: CredentialError): void {
    this.#answerLast(toReply(error));
    this.#closeIfDone();
  }

  /**
   * Releases the bytes that the connection holds: refuses the peer, or closes at once if the peer has not read replies.
   */
  shed(error: CredentialError): void {
    if (this.#socket.writableLength > 0) this.destroy();
    else this.refuse(error);
  }

  /** Closes at once, whatever is under way. */
  destroy(): void {
    this.#socket.destroy();
  }

  /**
   * Ends a peer that takes too long to send a message or to read, or that has left while an answer is streamed to it.
   * The method that makes any other answer is told that the peer has left. End-of-file does not say so: the peer may
   * have closed only its own half.
   *
   * @param now `performance.now()`
   */
  checkTimes(now: number): void {
    const hasPassed = (since: number | undefined, limitMs: number): boolean =>
      since !== undefined && now - since > limitMs;
    if (hasPassed(this.#writer.unreadSince, UNREAD_TIME_MAX_MS) || hasPassed(this.#endingSince, STOP_TIME_MAX_MS))
      this.destroy();
    else if (this.#isAnswering && this.#hasPeerLeft()) this.#onPeerLeft();
    else if (!this.#isWaitingForTurn && hasPassed(this.#reader.messageSince, MESSAGE_TIME_MAX_MS))
      this.refuse(new CredentialError('TimedOut', {}));
  }

  #hasPeerLeft(): boolean {
    const { descriptor } = this;
    return descriptor === undefined || hungUp([descriptor]).length > 0;
  }

  /** Ends a streamed answer. Otherwise the calls that were received still run: the peer may not need their answers. */
  #onPeerLeft(): void {
    if (this.#isStreaming) this.destroy();
    else this.#closed.fire();
  }

  get #hasWork(): boolean {
    return this.#reader.hasMore || this.#deferred !== undefined;
  }

  #onData(chunk: Buffer): void {
    if (this.#isEnding) {
      this.#reader.discard(chunk);
      return;
    }
    this.lastActive = performance.now();
    this.#reader.push(chunk);
    this.#beginCalls();
  }

  /** Begins the calls received, as far as their order, the limits and the turns of other connections allow. */
  #beginCalls(): void {
    if (this.#hasWork && (this.#isWaitingForTurn || !this.#scheduler.hasTime)) this.#waitForTurn();
    else this.#workSlice();
  }

  #workSlice(): void {
    const start = performance.now();
    const end = start + this.#scheduler.sliceMs;
    let isOver = false;
    try {
      while (this.#hasRoom() && !isOver) {
        const call = this.#deferred ?? this.#nextCall();
        if (call === undefined) break;
        const method = batchableMethod(call.message);
        this.#deferred = this.#isAnswering && (method === undefined || method !== this.#batching) ? call : undefined;
        if (this.#deferred !== undefined) break;
        this.#batching = method;
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
    this.#reportHeldBytes();
    this.#closeIfDone();
    this.#scheduler.note(performance.now() - start);
    if (this.#isAnswering) this.#scheduler.follow();
    if (isOver && this.#hasWork) this.#waitForTurn();
  }

  /** Waits for this user's turn. Nothing is read from the socket meanwhile. */
  #waitForTurn(): void {
    this.#socket.pause();
    if (this.#isWaitingForTurn) return;
    this.#isWaitingForTurn = true;
    const since = performance.now();
    this.#scheduler.wait(this.caller.uid, () => {
      this.#isWaitingForTurn = false;
      this.#reader.excludeDelay(performance.now() - since);
      this.#resume();
    });
  }

  /** Returns the next call; undefined if there is none, or if it is not JSON, which is answered here. */
  #nextCall(): Call | undefined {
    const call = this.#reader.next();
    if (call !== 'not_json') return call;
    this.#answerLast(malformed('not_json'));
    return undefined;
  }

  #begin({ message, bytes }: Call): void {
    const answer = this.#dispatch(this.caller, message, this.#closed.subscribe, this.#ending.subscribe);
    if (answer === undefined) return;
    if (!this.#isAnswering && isReply(answer)) this.#writer.add(answer);
    else this.#enqueue(answer, bytes);
  }

  /**
   * Queues a last reply and takes nothing more: after a message that is invalid, nothing that follows can be relied on.
   */
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
      // The connection is closed below: nobody waits for the answers behind this one.
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
      } else {
        const since = performance.now();
        await this.#answerLater(answer);
        if (performance.now() - since > LONG_CALL_MS) this.#events.onLongCall();
      }
      this.#answers.shift();
      this.#inFlightBytes -= bytes;
      this.#reportHeldBytes();
    }
    this.#isAnswering = false;
    this.#resume();
  }

  async #answerLater(answer: Exclude<Answer, Reply | undefined>): Promise<void> {
    if (answer instanceof Promise) {
      const reply = await answer;
      if (reply !== undefined) this.#writer.addForThisTurn(reply);
      return;
    }
    this.#isStreaming = true;
    for await (const reply of answer) {
      if (this.#socket.destroyed) break;
      const isWhole = this.#writer.add(reply);
      if (!this.#writer.flush()) await this.#writer.drained();
      // An error in place of a reply is the last reply to the call: the client would take another one for the answer to
      // its next call.
      if (!isWhole) break;
    }
    this.#isStreaming = false;
  }

  #hasRoom(): boolean {
    return this.#answers.length < CALLS_IN_FLIGHT_MAX && !this.#writer.isFull;
  }

  #resume(): void {
    this.#writer.noteRead();
    this.#reportHeldBytes();
    if (!this.#hasRoom() || this.#socket.destroyed) return;
    this.#beginCalls();
    if (!this.#hasWork && !this.#isEnding) this.#socket.resume();
  }

  /** Reports to the server how many bytes are held now. The server may end this connection in response. */
  #reportHeldBytes(): void {
    const heldBytes =
      this.#reader.pendingBytes + this.#writer.unreadBytes + this.#inFlightBytes + (this.#deferred?.bytes ?? 0);
    const difference = heldBytes - this.#heldBytes;
    if (difference === 0) return;
    this.#heldBytes += difference;
    this.#events.onHeld(difference);
  }

  /** Closes after an unexpected error. Calls under way continue, and are counted until they are done. */
  #fail(error: unknown): void {
    this.#events.onDefect(error);
    this.#writer.flush();
    this.destroy();
  }

  #end(): void {
    this.#isEnding = true;
    this.#endingSince ??= performance.now();
    this.#socket.pause();
    this.#ending.fire();
  }

  /** Drops the calls that have not begun, and what was read of the next message. */
  #forget(): void {
    this.#deferred = undefined;
    this.#reader.wipe();
    this.#reportHeldBytes();
  }

  #onPeerEnded(): void {
    this.#hasPeerEnded = true;
    this.#closeIfDone();
  }

  /** Closes if no more calls will come and all are answered. Only an incomplete message stays unanswered. */
  #closeIfDone(): void {
    const isDone = !this.#isAnswering && !this.#hasWork;
    if (!(this.#isEnding || this.#hasPeerEnded) || !isDone) return;
    this.#writer.flush();
    this.#socket.destroySoon();
  }

  #onClosed(): void {
    this.#forget();
    this.#closed.fire();
    this.#events.onClosed(this);
  }
}

function isReply(answer: Exclude<Answer, undefined>): answer is Reply {
  return !(answer instanceof Promise) && !(Symbol.asyncIterator in answer);
}
