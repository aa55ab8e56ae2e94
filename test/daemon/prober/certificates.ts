import fs from 'node:fs';
import path from 'node:path';

import type { ServerIdentity } from '../../support/minio-server.ts';
import { runSuccessfully } from '../../support/process.ts';
import type { Scope } from '../../support/scope.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

/** Signs the certificates of test servers. Its own certificate is in PEM, like the field endpoint_ca. */
export interface Authority extends ServerIdentity {
  /**
   * Signs a certificate for a name such as `IP:127.0.0.1` or `DNS:localhost`, valid for some days from today (-1:
   * expired yesterday).
   */
  sign(name: string, days?: number): Promise<ServerIdentity>;
}

const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-noenc'];

export async function makeAuthority(scope: Scope): Promise<Authority> {
  const directory = temporaryDirectory(scope, 'cio-ca');
  const openssl = (...args: string[]): Promise<string> => runSuccessfully(['openssl', ...args], { cwd: directory });
  const read = (file: string): string => fs.readFileSync(path.join(directory, file), 'utf8');
  const basic = ['-addext', 'basicConstraints=critical,CA:TRUE'];
  await openssl('req', '-x509', ...NEW_KEY, '-keyout', 'ca.key', '-out', 'ca.crt', '-subj', '/CN=authority', ...basic);
  let count = 0;
  return {
    certificate: read('ca.crt'),
    key: read('ca.key'),
    async sign(name, days = 2) {
      const file = String((count += 1));
      const subject = ['-subj', '/CN=server', '-addext', `subjectAltName=${name}`];
      await openssl('req', '-new', ...NEW_KEY, '-keyout', `${file}.key`, '-out', `${file}.csr`, ...subject);
      const signed = ['-CA', 'ca.crt', '-CAkey', 'ca.key', '-copy_extensions', 'copy', '-days', String(days)];
      await openssl('x509', '-req', '-in', `${file}.csr`, '-out', `${file}.crt`, ...signed);
      return { certificate: read(`${file}.crt`), key: read(`${file}.key`) };
    },
  };
}
