import { readFileSync } from 'node:fs';
import { isIPv4, type Socket } from 'node:net';

/** proc_pid_net(5): a row of `/proc/net/tcp` and `tcp6` has the addresses as words of this machine, which is little-endian. */
const TABLES = ['/proc/self/net/tcp', '/proc/self/net/tcp6'] as const;
const ROW = /^ *\d+: ([0-9A-F]+):([0-9A-F]{4}) ([0-9A-F]+):([0-9A-F]{4}) 01 \S+ \S+ \S+ +(\d+) /gm;

/** How `tcp6` begins an address of IPv4, as of a program that makes sockets of IPv6 only. */
const MAPPED = '0000000000000000FFFF0000';

/** What can be taken from a connection to know whose it is. */
export interface Peer {
  readonly remoteAddress?: string | undefined;
  readonly remotePort?: number | undefined;
  readonly localPort?: number | undefined;
}

/**
 * The places of a server on the loopback device. Who takes the last one has it looked up whose they all are: other users,
 * who have no business here, lose theirs, so that they cannot keep the command from its keys. Until then nobody is asked:
 * a command may have become another user, and its token is what counts.
 */
export class ConnectionPlaces<Connection extends Peer & Pick<Socket, 'destroy'>> {
  readonly #taken = new Set<Connection>();
  readonly #count: number;

  constructor(count: number) {
    this.#count = count;
  }

  /** Gives a place to a connection, or hangs up on it. */
  take(connection: Connection): void {
    this.#taken.add(connection);
    if (this.#taken.size <= this.#count) return;
    const isOwn = ownConnections(readTables());
    const strangers = [...this.#taken].filter((taken) => !isOwn(taken));
    // Where all seem to be strangers, nothing can be told: a command that became another user, or has users of its own.
    if (strangers.length < this.#taken.size) for (const stranger of strangers) this.#hangUp(stranger);
    if (this.#taken.size > this.#count) this.#hangUp(connection);
  }

  /** To be called when a connection has ended. */
  leave(connection: Connection): void {
    this.#taken.delete(connection);
  }

  #hangUp(connection: Connection): void {
    this.leave(connection);
    connection.destroy();
  }
}

/**
 * Tells of a connection to this host whether the other end is this user's, or root's. What is not established any more, or
 * is not in the tables, is nobody's: the kernel says 0 of a socket that its process has left.
 *
 * @param tables the text of `/proc/net/tcp` and `/proc/net/tcp6`
 */
export function ownConnections(tables: string, user: number = process.getuid?.() ?? 0): (connection: Peer) => boolean {
  const ends = new Set<string>();
  for (const [, address = '', port, , serverPort, uid] of tables.matchAll(ROW)) {
    const owner = Number(uid);
    const plain = address.startsWith(MAPPED) ? address.slice(MAPPED.length) : address;
    if (owner === user || owner === 0) ends.add(`${plain} ${port} ${serverPort}`);
  }
  return ({ remoteAddress = '', remotePort = 0, localPort = 0 }) =>
    ends.has(`${hexOfAddress(remoteAddress)} ${hexOfPort(remotePort)} ${hexOfPort(localPort)}`);
}

function readTables(): string {
  return TABLES.map((path) => {
    try {
      return readFileSync(path, 'latin1');
    } catch {
      // A kernel without IPv6; without the other one, nobody is known to be ours.
      return '';
    }
  }).join('');
}

function hexOfAddress(address: string): string {
  if (!isIPv4(address)) return '';
  const bytes = address.split('.').map((byte) => Number(byte).toString(16).padStart(2, '0'));
  return bytes.toReversed().join('').toUpperCase();
}

function hexOfPort(port: number): string {
  return port.toString(16).padStart(4, '0').toUpperCase();
}
