import fs from 'node:fs';
import path from 'node:path';
import { freePort, isListening } from './free-port.ts';
import { plainEnvironment, Service, until } from './process.ts';
import type { Requirement } from './requirements.ts';
import type { Scope } from './scope.ts';
import { serverFolder } from './server-folder.ts';
import { temporaryDirectory } from './temporary-directory.ts';

/**
 * The release that the tests are written for: the last one, by Go's pseudo-version, since MinIO is published as source
 * only.
 */
export const MINIO_MODULE = 'github.com/minio/minio@v0.0.0-20260212201848-7aac2a2c5b7c';

/** Where `node test/support/install-minio.ts` installs MinIO. */
export const MINIO_FOLDER: string = serverFolder(path.basename(MINIO_MODULE));

export const MINIO_PROGRAM: string = path.join(MINIO_FOLDER, 'minio');

/** The requirements of {@link startMinioServer}. */
export const MINIO_SERVER: readonly Requirement[] = [
  () => (fs.existsSync(MINIO_PROGRAM) ? undefined : 'MinIO (with Go: node test/support/install-minio.ts)'),
];

export interface MinioServer {
  readonly endpoint: string;
  /** The keys of the server's root user. */
  readonly accessKey: string;
  readonly secretKey: string;
}

/** A certificate and its key, in PEM. */
export interface ServerIdentity {
  readonly certificate: string;
  readonly key: string;
}

/** Starts MinIO on 127.0.0.1 in the given region, with TLS if a certificate is given. */
export async function startMinioServer(scope: Scope, region: string, identity?: ServerIdentity): Promise<MinioServer> {
  const directory = temporaryDirectory(scope, 'cio-minio');
  const certificates = path.join(directory, 'certs');
  fs.mkdirSync(certificates);
  if (identity !== undefined) {
    fs.writeFileSync(path.join(certificates, 'public.crt'), identity.certificate);
    fs.writeFileSync(path.join(certificates, 'private.key'), identity.key, { mode: 0o600 });
  }
  const accessKey = 'MINIOROOTACCESSKEY01';
  const secretKey = 'minio/root+secret/0000000000000000000001';
  const port = await freePort();
  const address = `127.0.0.1:${port}`;
  const env = {
    ...plainEnvironment(),
    HOME: directory,
    MINIO_ROOT_USER: accessKey,
    MINIO_ROOT_PASSWORD: secretKey,
    MINIO_REGION: region,
    MINIO_BROWSER: 'off',
    MINIO_UPDATE: 'off',
  };
  const command = [MINIO_PROGRAM, 'server', '--quiet', '--certs-dir', certificates, '--address', address];
  const server = new Service(scope, [...command, path.join(directory, 'data')], { env });
  await until(server, async () => ((await isListening(port)) ? true : undefined));
  return { endpoint: `${identity === undefined ? 'http' : 'https'}://${address}`, accessKey, secretKey };
}
