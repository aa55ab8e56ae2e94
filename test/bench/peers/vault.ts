import fs from 'node:fs';
import path from 'node:path';
import { freePort } from '../../support/free-port.ts';
import { plainEnvironment, run, runSuccessfully, Service, until } from '../../support/process.ts';
import { findCommand } from '../../support/requirements.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { timeOf } from '../command-time.ts';
import { HttpSocket, httpRequest } from './http-socket.ts';
import type { MakePeer } from './peer.ts';
import { SECRET } from './peer.ts';

/** OpenBao, or what it was forked from; their commands and their protocol are the same. */
const PROGRAMS = { OpenBao: 'bao', Vault: 'vault' } as const;
/** Where `kv put secret/…` puts a secret, in the second version of the key-value engine. */
const DATA_PATH = '/v1/secret/data/backup';

/** One server with a store on the disk and a Unix listener, unsealed; its root token is the caller. */
export const vault: MakePeer = async (scope) => {
  const found = Object.entries(PROGRAMS).flatMap(([name, command]) => {
    const program = findCommand(command);
    return program === undefined ? [] : [{ name, program }];
  });
  const [first] = found;
  if (first === undefined) return 'needs bao or vault (no package of Debian)';
  const { name, program } = first;
  const folder = temporaryDirectory(scope, 'cio-bench');
  const socketPath = path.join(folder, 'api');
  const [port, clusterPort] = [await freePort(), await freePort()];
  const configuration = {
    storage: { raft: { path: folder, node_id: 'one' } },
    listener: [{ unix: { address: socketPath } }, { tcp: { address: `127.0.0.1:${port}`, tls_disable: true } }],
    api_addr: `http://127.0.0.1:${port}`,
    cluster_addr: `http://127.0.0.1:${clusterPort}`,
    disable_mlock: true,
    log_level: 'error',
  };
  const configurationPath = path.join(folder, 'server.json');
  fs.writeFileSync(configurationPath, JSON.stringify(configuration));
  const service = new Service(scope, [program, 'server', `-config=${configurationPath}`], { env: plainEnvironment() });
  const env = {
    ...plainEnvironment(),
    HOME: folder,
    VAULT_ADDR: `unix://${socketPath}`,
    BAO_ADDR: `unix://${socketPath}`,
  };
  const { token, key } = await until(service, () => initialize(program, env));
  await runSuccessfully([program, 'operator', 'unseal', key], { env });
  const asRoot = { ...env, VAULT_TOKEN: token, BAO_TOKEN: token };
  const enable = [program, 'secrets', 'enable', '-path=secret', 'kv-v2'];
  await until(service, async () => (await run(enable, { env: asRoot })).code === 0 || undefined);
  const put = [program, 'kv', 'put', 'secret/backup', `value=${SECRET}`];
  await until(service, async () => (await run(put, { env: asRoot })).code === 0 || undefined);
  const socket = await HttpSocket.open(scope, socketPath, '}\n');
  const headers = [`X-Vault-Token: ${token}`];
  const read = httpRequest('GET', DATA_PATH, headers);
  const write = httpRequest('POST', DATA_PATH, headers, { data: { value: SECRET } });
  return {
    name,
    how: 'one server, raft on this disk, no audit device, the root token, no TLS; over its socket: HTTP on a Unix socket',
    readCommand: () => timeOf([program, 'kv', 'get', '-field=value', 'secret/backup'], asRoot, `${SECRET}\n`),
    writeCommand: () => timeOf(put, asRoot),
    socket: {
      reads: (calls) => socket.rateOf(read, calls, SECRET),
      writes: (calls) => socket.rateOf(write, calls, '"version"'),
    },
  };
};

/** The root token and the one key share; undefined as long as the server does not answer. */
async function initialize(
  program: string,
  env: Readonly<Record<string, string>>,
): Promise<{ token: string; key: string } | undefined> {
  const command = [program, 'operator', 'init', '-key-shares=1', '-key-threshold=1', '-format=json'];
  const { code, stdout } = await run(command, { env });
  if (code !== 0) return undefined;
  const answer = JSON.parse(stdout.toString()) as { root_token: string; unseal_keys_b64: readonly string[] };
  return { token: answer.root_token, key: answer.unseal_keys_b64[0] ?? '' };
}
