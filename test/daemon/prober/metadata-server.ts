import type { MetadataServices } from '../../../daemon/prober/identity/metadata.ts';
import type { Scope } from '../../support/scope.ts';
import { startHttp, type Answerer, type StubServer } from './stub-server.ts';

/** The identity of the test machine in its cloud. */
export const ROLE = 'backup-role';
export const ROLE_KEYS = {
  accessKey: 'ASIAROLEACCESSKEY001',
  secretKey: 'role/secret+key/00000000000000000000001',
  sessionToken: 'role-session-token',
} as const;
export const MACHINE_TOKEN = 'machine.bearer-token';

const SESSION = 'imds-session';

/** A metadata service on this machine. */
export interface MetadataServer extends StubServer {
  readonly services: MetadataServices;
}

/**
 * Starts the metadata services of Amazon, Google and Microsoft in one, as documented. `first` may answer before them.
 */
export async function startMetadata(scope: Scope, first: Answerer = () => undefined): Promise<MetadataServer> {
  const server = await startHttp(scope, (request, response, body) => {
    first(request, response, body);
    if (response.headersSent || response.writableEnded) return;
    const { method, url = '', headers } = request;
    const { pathname, searchParams } = new URL(url, 'http://metadata');
    const json = (content: object): void => void response.end(JSON.stringify(content));
    const refuse = (status: number): void => void response.writeHead(status).end();
    if (pathname === '/latest/api/token') {
      const isAsked = method === 'PUT' && Number(headers['x-aws-ec2-metadata-token-ttl-seconds']) > 0;
      if (isAsked) response.end(SESSION);
      else refuse(400);
    } else if (pathname.startsWith('/latest/meta-data/')) {
      if (headers['x-aws-ec2-metadata-token'] !== SESSION) refuse(401);
      else if (pathname === '/latest/meta-data/iam/security-credentials/') response.end(`${ROLE}\n`);
      else if (pathname === `/latest/meta-data/iam/security-credentials/${ROLE}`) json({ Code: 'Success', ...KEYS });
      else refuse(404);
    } else if (pathname === '/v2/credentials/task') json(KEYS);
    else if (pathname === '/computeMetadata/v1/instance/service-accounts/default/token') {
      if (headers['metadata-flavor'] === 'Google') json({ access_token: MACHINE_TOKEN, expires_in: 3599 });
      else refuse(403);
    } else if (pathname === '/metadata/identity/oauth2/token') {
      const isAsked = headers['metadata'] === 'true' && searchParams.get('resource') === 'https://storage.azure.com/';
      if (isAsked) json({ access_token: MACHINE_TOKEN, expires_in: '3599' });
      else refuse(400);
    } else refuse(404);
  });
  return { ...server, services: { instance: { address: '127.0.0.1', port: server.port } } };
}

const KEYS = {
  AccessKeyId: ROLE_KEYS.accessKey,
  SecretAccessKey: ROLE_KEYS.secretKey,
  Token: ROLE_KEYS.sessionToken,
  Expiration: '2099-01-01T00:00:00Z',
};
