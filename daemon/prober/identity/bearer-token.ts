import { ProbeFailure } from '../failure.ts';
import { parseObject } from '../json.ts';
import { missingIdentity, refusalOf, withMetadata, type MetadataServices } from './metadata.ts';

/** Visible ASCII, since the token goes into a header. */
const TOKEN = /^[\x21-\x7e]{1,16384}$/;

/** A request for a token, and the statuses by which the service says that this machine has no identity. */
interface TokenRequest {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly missing: readonly number[];
}

/**
 * The token of the machine's service account ("Authenticate workloads to Google Cloud APIs using service accounts").
 */
const GOOGLE: TokenRequest = {
  path:
    '/computeMetadata/v1/instance/service-accounts/default/token?scopes=' +
    encodeURIComponent('https://www.googleapis.com/auth/devstorage.read_write'),
  headers: { 'metadata-flavor': 'Google' },
  missing: [404],
};

/**
 * The token of the only identity that is assigned to the machine ("How to use managed identities for Azure resources on
 * a VM to acquire an access token").
 */
const AZURE: TokenRequest = {
  path: `/metadata/identity/oauth2/token?api-version=2018-02-01&resource=${encodeURIComponent('https://storage.azure.com/')}`,
  headers: { metadata: 'true' },
  missing: [400, 404],
};

/** @throws ProbeFailure */
export function fetchGoogleIdentity(services: MetadataServices, signal: AbortSignal): Promise<string> {
  return fetchIdentity(GOOGLE, services, signal);
}

/** @throws ProbeFailure */
export function fetchAzureIdentity(services: MetadataServices, signal: AbortSignal): Promise<string> {
  return fetchIdentity(AZURE, services, signal);
}

/** Fetches a bearer token. Unlike a signature by Amazon's keys, it can be used for some hours by anyone who has it. */
function fetchIdentity(
  { path, headers, missing }: TokenRequest,
  { instance }: MetadataServices,
  signal: AbortSignal,
): Promise<string> {
  return withMetadata(instance, signal, async (send) => {
    const answer = await send('GET', path, headers);
    if (missing.includes(answer.status)) throw missingIdentity();
    if (answer.status !== 200) throw refusalOf(answer);
    const { access_token: token } = parseObject(answer.body) ?? {};
    if (typeof token !== 'string' || !TOKEN.test(token)) throw new ProbeFailure('unexpected_answer');
    return token;
  });
}
