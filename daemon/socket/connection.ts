import { isUtf8 } from 'node:buffer';
import type { Socket } from 'node:net';

import { CredentialError } from '../../src/errors.ts';
import { giveBack } from '../../src/give-back.ts';
import { MESSAGE_BYTES_MAX } from '../../src/limits.ts';
import { FrameSplitter } from '../../src/protocol/frame.ts';
import type { Caller } from '../access/caller.ts';
import { malformed, mayOverlap, toReply } from '../dispatch.ts';
import type { Answer, Dispatch, Reply } from '../dispatch.ts';
import type { Gone } from '../gone.ts';
import { hungUp } from '../kernel/libc.ts';
import { descriptorOf } from '../kernel/peer.ts';
import {
  CALLS_IN_FLIGHT_MAX,
  MESSAGE_TIME_MAX_MS,
  STOP_TIME_MAX_MS,
  UNREAD_BYTES_MAX,
  UNREAD_TIME_MAX_MS,
} from './limits.ts';

/** Chunks from this size on are given back when they were read; V8 is quick with smaller ones. */
const LARGE_CHUNK_BYTES = 16_384;

/** A message, and how long it was: what is made of it takes more. */
interface Call {
  readonly message: unknown;
  readonly bytes: number;
}

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
 * something may follow each other before the first of them is answered: together they are one commit.
 */
export class Connection {
  readonly caller: Caller;
  /** When something came last, or it was made; `performance.now()`. */
  lastActive: number = performance.now();
  readonly #socket: Socket;
  readonly #dispatch: Dispatch;
  readonly #events: ConnectionEvents;
  readonly #splitter: FrameSplitter = new FrameSplitter(MESSAGE_BYTES_MAX);
  readonly #answers: { readonly answer: Exclude<Answer, undefined>; readonly bytes: number }[] = [];
  #frames: Generator<Uint8Array, void, undefined> | undefined;
  /** What they are cut out of. */
  #chunk: Buffer | undefined;
  /** A call that waits for the ones before it. */
  #held: Call | undefined;
  /** Of the calls that are worked on. */
  #inFlightBytes = 0;
  #heldBytes = 0;
  /** Replies of this turn of the event loop, which go out in one write. */
  #unsent = '';
  #isFlushPlanned = false;
  #isAnswering = false;
  /** An answer in parts is under way, which may have no end. */
  #isStreaming = false;
  /** Whether a call of the same kind may begin before the ones under way are answered. */
  #isOverlapping = false;
  #isEnding = false;
  #endingSince: number | undefined;
  #hasPeerEnded = false;
  readonly #whenGone: Set<() => void> = new Set();
  readonly #gone: Gone = (callback) => {
    this.#whenGone.add(callback);
    return () => void this.#whenGone.delete(callback);
  };
  readonly #whenEnding: Set<() => void> = new Set();
  readonly #ending: Gone = (callback) => {
    this.#whenEnding.add(callback);
    return () => void this.#whenEnding.delete(callback);
  };
  /** When the message began that is not complete yet. */
  #messageSince: number | undefined;
  /** Since when replies wait for the peer. */
  #unreadSince: number | undefined;

  constructor(socket: Socket, caller: Caller, dispatch: Dispatch, events: ConnectionEvents) {
    this.#socket = socket;
    this.caller = caller;
    this.#dispatch = dispatch;
    this.#events = events;
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
    return !this.#isAnswering && !this.#hasWork && this.#heldBytes === 0 && this.#unreadSince === undefined;
  }

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

  destroy(): void {
    this.#socket.destroy();
  }

  /**
   * Ends a peer who takes too long with his message, or with reading, or who went away while an answer in parts is made
   * for him: that he sends nothing more would not tell, he may just have ended his own sending.
   */
  checkTimes(now: number): void {
    const hasPassed = (since: number | undefined, limitMs: number): boolean =>
      since !== undefined && now - since > limitMs;
    if (hasPassed(this.#unreadSince, UNREAD_TIME_MAX_MS) || hasPassed(this.#endingSince, STOP_TIME_MAX_MS))
      this.destroy();
    else if (this.#isStreaming && hungUp([descriptorOf(this.#socket)]).length > 0) this.destroy();
    else if (hasPassed(this.#messageSince, MESSAGE_TIME_MAX_MS)) this.refuse(new CredentialError('TimedOut', {}));
  }

  get #hasWork(): boolean {
    return this.#frames !== undefined || this.#held !== undefined;
  }

  #take(chunk: Buffer): void {
    this.#chunk = chunk;
    if (this.#isEnding) {
      this.#forgetChunk();
      return;
    }
    this.lastActive = performance.now();
    this.#frames = this.#splitter.push(chunk);
    this.#work();
  }

  /** Begins the calls that are there, as far as their order and the bounds allow. */
  #work(): void {
    try {
      while (this.#hasRoom()) {
        const call = this.#held ?? this.#nextCall();
        if (call === undefined) break;
        const overlaps = mayOverlap(call.message);
        this.#held = this.#isAnswering && !(overlaps && this.#isOverlapping) ? call : undefined;
        if (this.#held !== undefined) break;
        this.#isOverlapping = overlaps;
        this.#begin(call);
      }
    } catch (error) {
      if (!(error instanceof CredentialError)) {
        this.#fail(error);
        return;
      }
      this.#answerLast(toReply(error));
    }
    this.#flush();
    if (this.#hasWork) this.#socket.pause();
    this.#account();
    this.#closeIfDone();
  }

  /** Undefined where there is none, or no valid one: that has been answered then. */
  #nextCall(): Call | undefined {
    const next = this.#frames?.next();
    if (next === undefined || next.done === true) {
      this.#frames = undefined;
      this.#dropChunk();
      return undefined;
    }
    const bytes = next.value;
    const { length } = bytes;
    const message = parseJson(bytes);
    bytes.fill(0);
    if (bytes.buffer !== this.#chunk?.buffer) giveBack(bytes.buffer);
    this.#messageSince = undefined;
    if (message !== undefined) return { message, bytes: length };
    this.#answerLast(malformed('not_json'));
    return undefined;
  }

  #begin({ message, bytes }: Call): void {
    const answer = this.#dispatch(this.caller, message, this.#gone, this.#ending);
    if (answer === undefined) return;
    if (!this.#isAnswering && isReply(answer)) this.#unsent += encode(answer);
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
    this.#answerAll().catch((error: unknown) => this.#fail(error));
  }

  async #answerAll(): Promise<void> {
    for (let next = this.#answers[0]; next !== undefined; next = this.#answers[0]) {
      const { answer, bytes } = next;
      if (isReply(answer)) {
        this.#sendSoon(answer);
      } else if (answer instanceof Promise) {
        const reply = await answer;
        if (reply !== undefined) this.#sendSoon(reply);
      } else {
        this.#isStreaming = true;
        for await (const reply of answer) {
          if (this.#socket.destroyed) break;
          if (!this.#send(reply)) await this.#drained();
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

  #drained(): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        this.#socket.off('drain', done).off('close', done);
        resolve();
      };
      this.#socket.on('drain', done).on('close', done);
    });
  }

  /** Sends it with what else is answered before the event loop goes on: calls that were committed together, above all. */
  #sendSoon(reply: Reply): void {
    this.#unsent += encode(reply);
    if (this.#unsent.length > UNREAD_BYTES_MAX) {
      this.#flush();
    } else if (!this.#isFlushPlanned) {
      this.#isFlushPlanned = true;
      process.nextTick(() => {
        this.#isFlushPlanned = false;
        this.#flush();
      });
    }
  }

  /** @returns false where the peer should read before he gets more */
  #send(reply: Reply): boolean {
    this.#unsent += encode(reply);
    return this.#flush();
  }

  #flush(): boolean {
    const text = this.#unsent;
    this.#unsent = '';
    if (text === '' || this.#socket.destroyed || this.#socket.writableEnded) return true;
    // Text of one byte a character is copied as it is; anything else Node converts character by character.
    this.#socket.write(text, Buffer.byteLength(text) === text.length ? 'latin1' : 'utf8');
    this.#account();
    const isRead = this.#socket.writableLength <= UNREAD_BYTES_MAX;
    if (!isRead) this.#unreadSince ??= performance.now();
    return isRead;
  }

  #hasRoom(): boolean {
    const isOutputBounded = this.#unreadSince === undefined && this.#unsent.length <= UNREAD_BYTES_MAX;
    return this.#answers.length < CALLS_IN_FLIGHT_MAX && isOutputBounded;
  }

  #resume(): void {
    if (this.#socket.writableLength === 0) this.#unreadSince = undefined;
    this.#account();
    if (!this.#hasRoom() || this.#socket.destroyed) return;
    this.#work();
    if (!this.#hasWork && !this.#isEnding) this.#socket.resume();
  }

  /** Tells the server what is held now; it may end this connection for it. */
  #account(): void {
    const pendingBytes = this.#splitter.pendingBytes;
    this.#messageSince = pendingBytes === 0 ? undefined : (this.#messageSince ?? performance.now());
    const unreadBytes = this.#socket.destroyed ? 0 : this.#socket.writableLength;
    const heldBytes = pendingBytes + unreadBytes + this.#inFlightBytes + (this.#held?.bytes ?? 0);
    const difference = heldBytes - this.#heldBytes;
    if (difference === 0) return;
    this.#heldBytes += difference;
    this.#events.onHeld(difference);
  }

  #fail(error: unknown): void {
    this.#events.onDefect(error);
    this.#answers.length = 0;
    this.#inFlightBytes = 0;
    this.#flush();
    this.destroy();
  }

  #end(): void {
    this.#isEnding = true;
    this.#endingSince ??= performance.now();
    this.#socket.pause();
    for (const callback of this.#whenEnding) callback();
  }

  /** Drops what was not begun. */
  #forget(): void {
    this.#frames?.return();
    this.#frames = undefined;
    this.#forgetChunk();
    this.#held = undefined;
    this.#splitter.wipe();
    this.#account();
  }

  #forgetChunk(): void {
    this.#chunk?.fill(0);
    this.#dropChunk();
  }

  #dropChunk(): void {
    const chunk = this.#chunk;
    this.#chunk = undefined;
    // A small one may lie in memory that it shares.
    if (chunk !== undefined && chunk.length >= LARGE_CHUNK_BYTES && chunk.length === chunk.buffer.byteLength)
      giveBack(chunk.buffer);
  }

  #onPeerEnded(): void {
    this.#hasPeerEnded = true;
    this.#closeIfDone();
  }

  /** Half of a message stays unanswered; everything else that was asked has its answer before the end. */
  #closeIfDone(): void {
    const isDone = !this.#isAnswering && !this.#hasWork;
    if (!(this.#isEnding || this.#hasPeerEnded) || !isDone) return;
    this.#flush();
    this.#socket.destroySoon();
  }

  #onClosed(): void {
    this.#forget();
    for (const callback of this.#whenGone) callback();
    this.#events.onClosed(this);
  }
}

/**
 * Undefined where the bytes are no JSON, or no JSON document but null. V8's own error would quote them. Bytes that are
 * no UTF-8 would become other characters, and a secret another one.
 */
function parseJson(bytes: Uint8Array): unknown {
  if (!isUtf8(bytes)) return undefined;
  const buffer = bytes instanceof Buffer ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  try {
    return JSON.parse(buffer.toString()) ?? undefined;
  } catch {
    return undefined;
  }
}

/** A reply that no client would take is not sent. */
function encode(reply: Reply): string {
  const text = JSON.stringify(reply);
  const isTooLarge = text.length > MESSAGE_BYTES_MAX / 3 && Buffer.byteLength(text) > MESSAGE_BYTES_MAX;
  return isTooLarge ? encode(toReply(new CredentialError('TooLarge', { limit: MESSAGE_BYTES_MAX }))) : `${text}\0`;
}

function isReply(answer: Exclude<Answer, undefined>): answer is Reply {
  return !(answer instanceof Promise) && !(Symbol.asyncIterator in answer);
}
