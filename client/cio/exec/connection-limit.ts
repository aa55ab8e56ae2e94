import { readFileSync } from 'node:fs';
import { isIPv4, type Socket } from 'node:net';

/** proc_pid_net(5): `/proc/net/tcp` and `tcp6` have addresses as words in the byte order of the host: little-endian. */
const TABLES = ['/proc/self/net/tcp', '/proc/self/net/tcp6'] as const;
const ROW = /^ *\d+: ([0-9A-F]+):([0-9A-F]{4}) ([0-9A-F]+):([0-9A-F]{4}) 01 \S+ \S+ \S+ +(\d+) /gm;

/** Prefix of an IPv4 address in `tcp6`, as of a program that uses only IPv6 sockets. */
const MAPPED = '0000000000000000FFFF0000';

/** The properties of a connection that identify its owner. */
export interface Peer {
  readonly remoteAddress?: string | undefined;
  readonly remotePort?: number | undefined;
  readonly localPort?: number | undefined;
}

/**
 * The connection limit of a server on the loopback interface. When it is exceeded, the owners of all connections are
 * looked up, and those of other users are closed, so that they cannot keep the command from its keys. Until then owners
 * are not checked: the command may have become another user, and access depends on the token.
 */
export class ConnectionLimit<Connection extends Peer & Pick<Socket, 'destroy'>> {
  readonly #open = new Set<Connection>();
  readonly #count: number;

  constructor(count: number) {
    this.#count = count;
  }

  /** Accepts a connection, or closes it if that would exceed the limit. */
  admit(connection: Connection): void {
    this.#open.add(connection);
    if (this.#open.size <= this.#count) return;
    const isOwn = ownConnections(readTables());
    const strangers = [...this.#open].filter((each) => !isOwn(each));
    // If all seem to be strangers, nothing can be concluded: the command became another user, or has a user namespace.
    if (strangers.length < this.#open.size) for (const stranger of strangers) this.#hangUp(stranger);
    if (this.#open.size > this.#count) this.#hangUp(connection);
  }

  /** To be called when a connection has ended. */
  release(connection: Connection): void {
    this.#open.delete(connection);
  }

  #hangUp(connection: Connection): void {
    this.release(connection);
    connection.destroy();
  }
}

/**
 * Returns a function that tells whether the peer of a local connection belongs to this user, or to root. A connection
 * that is no longer established, or not in the tables, belongs to neither: the kernel shows uid 0 for a socket that its
 * process has closed.
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
      // A kernel without IPv6 has no tcp6. Without tcp, no connection is known to be ours.
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
