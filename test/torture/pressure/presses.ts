import type net from 'node:net';
import { MESSAGE_BYTES_MAX } from '../../../src/limits.ts';
import { pour } from '../../support/pour.ts';
import type { Random } from '../random.ts';
import { LARGE, SMALL } from './victim.ts';

const INTERFACE = 'io.cio.Credentials';

/** A piece of a message that never ends. */
const PIECE = Buffer.alloc(64 * 1024, 'x');

/** Clients of one kind that press the daemon until they are disconnected. */
export interface Press {
  readonly what: string;
  /** The number of clients in the long form and in the short one. */
  readonly clients: readonly [long: number, short: number];
  /** Starts one client, which is destroyed later. */
  start(socket: net.Socket, random: Random): void;
}

/** A message of the largest size full of objects: parsing it takes seconds, and forty times its memory. */
const OBJECTS = `{"objects":[${'{},'.repeat(Math.floor(MESSAGE_BYTES_MAX / 3) - 10)}{}]}\0`;

/** The number of calls whose replies are not read. */
const UNREAD_CALLS = 64;

export const PRESSES: readonly Press[] = [
  { what: 'idle connections', clients: [10_000, 1500], start: () => undefined },
  {
    what: 'clients that ask for large values and read nothing',
    clients: [1000, 250],
    start(socket) {
      socket.pause();
      socket.write(callOf('Get', { name: LARGE }).repeat(UNREAD_CALLS));
    },
  },
  {
    what: 'clients with half a message each',
    clients: [1000, 250],
    start(socket, random) {
      const call = callOf('Create', { credentials: [{ name: 'half', value: 'x'.repeat(random.below(500_000)) }] });
      socket.write(call.slice(0, -1));
    },
  },
  {
    what: 'clients with a message that never ends',
    clients: [100, 25],
    start(socket) {
      pour(socket, () => PIECE);
    },
  },
  {
    what: 'clients with messages of millions of objects, some after a watch',
    clients: [100, 12],
    start(socket, random) {
      // Some are refused at once, and some wait for their turn.
      const isBehind = random.oneIn(2);
      socket.resume().write(isBehind ? callOf('Watch', {}, { more: true }) + OBJECTS : OBJECTS);
    },
  },
  {
    what: 'clients that send nonsense as fast as they can',
    clients: [50, 15],
    start(socket, random) {
      const nonsense = ['{', '[]', 'null', '{"method":1}', `{"method":"${INTERFACE}.Get"}`, '\u0001'];
      pour(socket.resume(), () => `${random.pick(nonsense)}\0`);
    },
  },
  {
    what: 'clients that leave in the middle of a call',
    clients: [5000, 600],
    start(socket, random) {
      const name = random.pick([SMALL, LARGE]);
      socket.write(callOf('Get', { name }), () => socket.destroy());
    },
  },
];

export function callOf(
  method: string,
  parameters: object,
  flags: { readonly more?: true; readonly oneway?: true } = {},
): string {
  return `${JSON.stringify({ method: `${INTERFACE}.${method}`, parameters, ...flags })}\0`;
}
