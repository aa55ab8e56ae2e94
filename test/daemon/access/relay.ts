/** Connects to a socket under another identity, and relays standard input and the replies. See raw-client.ts. */
import { fork } from 'node:child_process';
import { connect } from 'node:net';
import type { Socket } from 'node:net';

interface RelayIdentity {
  readonly uid: number;
  readonly gid: number;
  readonly groups: readonly number[];
  /** If true, another process connects, hands its connection over, and ends. */
  readonly isConnectorGone: boolean;
}

const [socketPath = '', text = ''] = process.argv.slice(2);
const identity = JSON.parse(text) as RelayIdentity;

if (process.send !== undefined) {
  become(identity);
  const socket = connect(socketPath, () => process.send?.('connected', socket, {}, () => process.disconnect()));
} else if (identity.isConnectorGone) {
  const connector = fork(import.meta.filename, process.argv.slice(2));
  connector.once('message', (_message, socket) => {
    connector.once('exit', () => relay(socket as Socket));
  });
} else {
  become(identity);
  relay(connect(socketPath));
}

function become({ uid, gid, groups }: RelayIdentity): void {
  process.setgroups?.([...groups]);
  process.setgid?.(gid);
  process.setuid?.(uid);
}

function relay(socket: Socket): void {
  process.stdin.pipe(socket).pipe(process.stdout);
}
