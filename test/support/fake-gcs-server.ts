import fs from 'node:fs';
import path from 'node:path';
import { freePort, isListening } from './free-port.ts';
import type { ServerIdentity } from './minio-server.ts';
import { Service, until } from './process.ts';
import type { Requirement } from './requirements.ts';
import type { Scope } from './scope.ts';
import { serverFolder } from './server-folder.ts';
import { temporaryDirectory } from './temporary-directory.ts';

/** The release that the tests are written for. */
export const FAKE_GCS_MODULE = 'github.com/fsouza/fake-gcs-server@v1.56.1';

/** Where `node test/support/install-fake-gcs.ts` installs the server. */
export const FAKE_GCS_FOLDER: string = serverFolder(path.basename(FAKE_GCS_MODULE));

export const FAKE_GCS_PROGRAM: string = path.join(FAKE_GCS_FOLDER, 'fake-gcs-server');

/** The requirements of {@link startFakeGcs}. */
export const FAKE_GCS_SERVER: readonly Requirement[] = [
  () =>
    fs.existsSync(FAKE_GCS_PROGRAM) ? undefined : 'fake-gcs-server (with Go: node test/support/install-fake-gcs.ts)',
];

/**
 * Starts a fake Google Cloud Storage on 127.0.0.1 with TLS, which requires no token. Returns its URL.
 *
 * @param publicHost the host for which it also serves the XML API; by default that of its URL
 */
export async function startFakeGcs(
  scope: Scope,
  host: string,
  identity: ServerIdentity,
  publicHost?: string,
): Promise<string> {
  const directory = temporaryDirectory(scope, 'cio-gcs');
  const certificate = path.join(directory, 'server.crt');
  const key = path.join(directory, 'server.key');
  fs.writeFileSync(certificate, identity.certificate);
  fs.writeFileSync(key, identity.key, { mode: 0o600 });
  const port = await freePort();
  const url = `https://${host}:${port}`;
  const address = [
    '-scheme',
    'https',
    '-host',
    '127.0.0.1',
    '-port',
    String(port),
    '-public-host',
    publicHost ?? `${host}:${port}`,
  ];
  const tls = ['-cert-location', certificate, '-private-key-location', key];
  const server = new Service(scope, [FAKE_GCS_PROGRAM, '-backend', 'memory', ...address, '-external-url', url, ...tls]);
  await until(server, async () => ((await isListening(port)) ? true : undefined));
  return url;
}
