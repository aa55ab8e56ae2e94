import { once } from 'node:events';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import path from 'node:path';
import { twoFreePorts } from '../../support/free-port.ts';
import { plainEnvironment, runSuccessfully, Service, until, run } from '../../support/process.ts';
import { command, skipUnless } from '../../support/requirements.ts';
import type { Scope } from '../../support/scope.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { timeOf } from '../command-time.ts';
import type { MakePeer } from './peer.ts';
import { SECRET } from './peer.ts';

const CTL = '/usr/bin/etcdctl';
const KEY = 'secret';
/** The last byte of the gateway's replies, which are JSON, and each arrive in one piece. */
const CLOSING_BRACE = 0x7d;

/** One etcd node, without TLS and users; its writes are on the disk when it answers. */
export const etcd: MakePeer = async (scope) => {
  const missing = skipUnless(command('etcd', 'etcd-server'), command('etcdctl', 'etcd-client'));
  if (missing !== false) return missing;
  const [clientPort, peerPort] = await twoFreePorts();
  const endpoint = `127.0.0.1:${clientPort}`;
  const folder = temporaryDirectory(scope, 'cio-bench');
  const peerUrl = `http://127.0.0.1:${peerPort}`;
  // etcd requires its Unix socket's name to look like a host and a port.
  const socketName = `localhost:${clientPort}`;
  const options = {
    'data-dir': path.join(folder, 'data'),
    'listen-client-urls': `http://${endpoint},unix://${socketName}`,
    'advertise-client-urls': `http://${endpoint}`,
    'listen-peer-urls': peerUrl,
    'initial-advertise-peer-urls': peerUrl,
    'initial-cluster': `default=${peerUrl}`,
    'log-level': 'error',
  };
  const env = { ...plainEnvironment(), ETCDCTL_API: '3' };
  const args = Object.entries(options).map(([name, value]) => `--${name}=${value}`);
  const service = new Service(scope, ['/usr/bin/etcd', ...args], { env, cwd: folder });
  const ctl = [CTL, `--endpoints=${endpoint}`];
  const put = [...ctl, 'put', KEY, SECRET];
  await until(service, async () => (await run(put, { env })).code === 0 || undefined);
  await runSuccessfully([...ctl, 'get', KEY], { env });
  const base64 = (text: string): string => Buffer.from(text).toString('base64');
  const range = request('range', { key: base64(KEY) });
  const store = request('put', { key: base64(KEY), value: base64(SECRET) });
  const socket = await open(scope, path.join(folder, socketName));
  return {
    name: 'etcd',
    how: 'one node, in clear, no users; over its socket: the JSON gateway on a Unix socket',
    readCommand: () => timeOf([...ctl, 'get', KEY, '--print-value-only'], env, `${SECRET}\n`),
    writeCommand: () => timeOf(put, env),
    socket: {
      reads: (calls) => rateOf(socket, range, calls, base64(SECRET)),
      writes: (calls) => rateOf(socket, store, calls, '"revision"'),
    },
  };
};

/** Encodes one HTTP request. */
function request(method: string, body: object): Buffer {
  const text = JSON.stringify(body);
  const head = [`POST /v3/kv/${method} HTTP/1.1`, 'Host: localhost', `Content-Length: ${text.length}`, '', ''];
  return Buffer.from(head.join('\r\n') + text);
}

async function open(scope: Scope, socketPath: string): Promise<Socket> {
  const socket = connect(socketPath);
  scope.after(() => void socket.destroy());
  await once(socket, 'connect');
  return socket;
}

/** Returns the calls per second, each made after the reply to the last one. */
async function rateOf(socket: Socket, call: Buffer, calls: number, expected: string): Promise<number> {
  const startedMs = performance.now();
  for (let made = 0; made < calls; made += 1) {
    socket.write(call);
    let reply = '';
    do {
      const [chunk] = (await once(socket, 'data')) as [Buffer];
      reply += chunk.toString('latin1');
    } while (reply.charCodeAt(reply.length - 1) !== CLOSING_BRACE);
    if (!reply.includes(expected)) throw new Error(`etcd answers something else: ${reply}`);
  }
  return (calls / (performance.now() - startedMs)) * 1000;
}
