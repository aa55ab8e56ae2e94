import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { azureHostOf } from '../../src/providers/azure.ts';
import { privateMounts } from '../daemon/access/personas.ts';
import { freePort } from './free-port.ts';
import type { ServerIdentity } from './minio-server.ts';
import { plainEnvironment, Service } from './process.ts';
import { command, root, type Requirement } from './requirements.ts';
import type { Scope } from './scope.ts';
import { serverFolder } from './server-folder.ts';
import { temporaryDirectory } from './temporary-directory.ts';

/** The release that the tests are written for. */
export const AZURITE_PACKAGE = 'azurite@3.37.0';

/** Where `node test/support/install-azurite.ts` installs Azurite. */
export const AZURITE_FOLDER: string = serverFolder(AZURITE_PACKAGE);

export const AZURITE_PROGRAM: string = path.join(AZURITE_FOLDER, 'node_modules/azurite/dist/src/blob/main.js');

/** The requirements of {@link startAzurite}. */
export const AZURITE_SERVER: readonly Requirement[] = [
  () => (fs.existsSync(AZURITE_PROGRAM) ? undefined : 'Azurite (node test/support/install-azurite.ts)'),
];

/** A running Azurite with one account. */
export interface AzuriteServer {
  readonly port: number;
  readonly account: string;
  /** Both keys of the account. */
  readonly keys: readonly [string, string];
  /**
   * Domain and port, used in place of {@link AZURE_ENDPOINT_SUFFIX}. The certificate is for the host of the account in
   * this domain.
   */
  readonly suffix: string;
}

const ACCOUNT = 'cioprobe';

const HTTPS_PORT = 443;

/** A domain that no name server resolves (RFC 6761). */
const DOMAIN = 'azurite.test';

/** The host of the account in {@link startAzurite}. */
export const AZURITE_HOST: string = `${ACCOUNT}.blob.${DOMAIN}`;

/** Starts Azurite on 127.0.0.1 with TLS. Azurite reads the account's name from the host, as Azure does. */
export async function startAzurite(scope: Scope, identity: ServerIdentity): Promise<AzuriteServer> {
  const port = await freePort();
  const { keys } = await start(scope, identity, port, []);
  return { port, account: ACCOUNT, keys, suffix: `${DOMAIN}:${port}` };
}

/** The host of the account in {@link startAzureInside}: a name in Azure's own domain. */
export const AZURE_HOST: string = azureHostOf(ACCOUNT);

/** The requirements of {@link startAzureInside} in addition to {@link AZURITE_SERVER}. */
export const INSIDE: readonly Requirement[] = [
  root,
  command('ip', 'iproute2'),
  command('nsenter', 'util-linux'),
  privateMounts,
];

/**
 * Starts Azurite in a network namespace where {@link AZURE_HOST} is 127.0.0.1, for tools that know Azure's own domain
 * only. It has its own network and /etc/hosts; `enter` is the prefix that runs a command there.
 */
export async function startAzureInside(
  scope: Scope,
  identity: ServerIdentity,
): Promise<Pick<AzuriteServer, 'account' | 'keys'> & { readonly enter: readonly string[] }> {
  const hosts = path.join(temporaryDirectory(scope, 'cio-hosts'), 'hosts');
  fs.writeFileSync(hosts, `127.0.0.1 localhost ${AZURE_HOST}\n`);
  const script = 'ip link set lo up && mount --bind "$1" /etc/hosts && shift && exec "$@"';
  const inside = ['unshare', '--net', '--mount', '--', 'sh', '-c', script, 'sh', hosts];
  const { keys, pid } = await start(scope, identity, HTTPS_PORT, inside);
  return { account: ACCOUNT, keys, enter: ['nsenter', `--target=${pid}`, '--net', '--mount', '--'] };
}

async function start(
  scope: Scope,
  identity: ServerIdentity,
  port: number,
  prefix: readonly string[],
): Promise<{ readonly keys: readonly [string, string]; readonly pid: number }> {
  const directory = temporaryDirectory(scope, 'cio-azurite');
  const certificate = path.join(directory, 'server.crt');
  const key = path.join(directory, 'server.key');
  fs.writeFileSync(certificate, identity.certificate);
  fs.writeFileSync(key, identity.key, { mode: 0o600 });
  const keys = [randomBytes(64).toString('base64'), randomBytes(64).toString('base64')] as const;
  const env = { ...plainEnvironment(), HOME: directory, AZURITE_ACCOUNTS: `${ACCOUNT}:${keys.join(':')}` };
  const address = ['--blobHost', '127.0.0.1', '--blobPort', String(port), '--cert', certificate, '--key', key];
  // The client libraries send the newest API version, which Azurite does not list; it supports everything used here.
  const more = ['--silent', '--disableTelemetry', '--inMemoryPersistence', '--skipApiVersionCheck'];
  const words = [...prefix, process.execPath, AZURITE_PROGRAM, ...address, ...more];
  const server = new Service(scope, words, { env, cwd: directory });
  await server.printed('successfully listen');
  return { keys, pid: server.pid };
}
