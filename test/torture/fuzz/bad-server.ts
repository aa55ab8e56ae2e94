import type net from 'node:net';
import { MESSAGE_BYTES_MAX } from '../../../src/limits.ts';
import { Peer } from '../../client/peer.ts';
import type { ReceivedCall } from '../../client/peer.ts';
import { pour } from '../../support/pour.ts';
import type { Scope } from '../../support/scope.ts';
import type { Random } from '../random.ts';
import type { ReplySource } from './replies.ts';

const NUL = Buffer.of(0);
const PIECE = Buffer.alloc(64 * 1024, 'x');
const DEPTH = 200_000;
const FLOOD = 2000;
/** Time after which the server closes a connection, in ms. A client that waits for more waits in vain. */
const LINGER_MS = 150;

/** A way to answer a call. */
type Manner = (socket: net.Socket, reply: () => Buffer, random: Random) => void;

/** The ways to answer; most send a possible reply, or nearly one. */
const MANNERS: { readonly [name: string]: Manner } = {
  'one reply': (socket, reply) => void socket.write(reply()),
  'a reply in pieces': (socket, reply, random) => {
    const bytes = reply();
    const place = random.below(bytes.length);
    socket.write(bytes.subarray(0, place), () => void socket.write(bytes.subarray(place)));
  },
  'half a reply': (socket, reply, random) => {
    const bytes = reply();
    socket.end(bytes.subarray(0, random.below(bytes.length)));
  },
  'more replies than calls': (socket, reply, random) => {
    socket.write(Buffer.concat(Array.from({ length: 2 + random.below(5) }, reply)));
  },
  'many replies': (socket, reply) => {
    const bytes = reply();
    for (let index = 0; index < FLOOD && socket.write(bytes); index += 1);
  },
  'no end': (socket) => pour(socket, () => PIECE),
  'a large reply': (socket, _reply, random) => {
    const bytes = random.pick([MESSAGE_BYTES_MAX - 100, MESSAGE_BYTES_MAX + 1]);
    const value = 'v'.repeat(bytes - 100);
    socket.write(`{"parameters":{"name":"token","value":"${value}","version":1,"generation":1}}\0`);
  },
  'a deep reply': (socket, _reply, random) => {
    const [open, close] = random.pick([['[', ']'] as const, ['{"a":', '}'] as const]);
    socket.write(`{"parameters":{"name":${open.repeat(DEPTH)}1${close.repeat(DEPTH)}}}\0`);
  },
  'no bytes of JSON': (socket, _reply, random) => {
    socket.write(Buffer.from(Array.from({ length: 1 + random.below(300) }, () => random.below(256))));
    socket.write(NUL);
  },
  'the end': (socket) => void socket.end(),
  nothing: () => undefined,
};

const NAMES = Object.keys(MANNERS);

/** One in so many calls is answered in any of the ways; the others get one reply. */
const RUDE_ONE_IN = 2;

/** A server that answers calls in random ways. */
export class BadServer {
  readonly manners: Map<string, number> = new Map();
  /** Time after a call at which the server closes the connection, in ms. */
  lingerMs: number = LINGER_MS;
  #peer: Peer | undefined;

  static async listen(scope: Scope, random: Random, replies: ReplySource): Promise<BadServer> {
    const server = new BadServer();
    server.#peer = await Peer.onCalls(scope, (call, socket) => server.#answer(call, socket, random, replies));
    return server;
  }

  get path(): string {
    return this.#peer?.path ?? '';
  }

  /** The number of connections that clients have left open. */
  get open(): number {
    return this.#peer?.open ?? 0;
  }

  #answer({ method }: ReceivedCall, socket: net.Socket, random: Random, replies: ReplySource): void {
    const name = random.oneIn(RUDE_ONE_IN) ? random.pick(NAMES) : (NAMES[0] ?? '');
    this.manners.set(name, (this.manners.get(name) ?? 0) + 1);
    MANNERS[name]?.(socket, () => replies(method), random);
    setTimeout(() => socket.destroy(), this.lingerMs).unref();
  }
}
