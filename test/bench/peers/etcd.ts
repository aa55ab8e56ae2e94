import path from 'node:path';
import { freePort } from '../../support/free-port.ts';
import { plainEnvironment, runSuccessfully, Service, until, run } from '../../support/process.ts';
import { command, skipUnless } from '../../support/requirements.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { timeOf } from '../command-time.ts';
import { HttpSocket, httpRequest } from './http-socket.ts';
import type { MakePeer } from './peer.ts';
import { SECRET } from './peer.ts';

const CTL = '/usr/bin/etcdctl';
const KEY = 'secret';

/** One node of etcd, in clear, without users; what it stores is on the disk when it answers. */
export const etcd: MakePeer = async (scope) => {
  const missing = skipUnless(command('etcd', 'etcd-server'), command('etcdctl', 'etcd-client'));
  if (missing !== false) return missing;
  const [clientPort, peerPort] = [await freePort(), await freePort()];
  const endpoint = `127.0.0.1:${clientPort}`;
  const folder = temporaryDirectory(scope, 'cio-bench');
  const peerUrl = `http://127.0.0.1:${peerPort}`;
  // Its name of a Unix socket must look like a host and a port.
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
  const range = httpRequest('POST', '/v3/kv/range', [], { key: base64(KEY) });
  const store = httpRequest('POST', '/v3/kv/put', [], { key: base64(KEY), value: base64(SECRET) });
  const socket = await HttpSocket.open(scope, path.join(folder, socketName), '}');
  return {
    name: 'etcd',
    how: 'one node, in clear, no users; over its socket: the JSON gateway on a Unix socket',
    readCommand: () => timeOf([...ctl, 'get', KEY, '--print-value-only'], env, `${SECRET}\n`),
    writeCommand: () => timeOf(put, env),
    socket: {
      reads: (calls) => socket.rateOf(range, calls, base64(SECRET)),
      writes: (calls) => socket.rateOf(store, calls, '"revision"'),
    },
  };
};
