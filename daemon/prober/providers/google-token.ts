import { createPrivateKey, sign, type KeyObject } from 'node:crypto';

import type { ServiceAccount } from '../../../src/providers/service-account.ts';
import { ProbeFailure } from '../failure.ts';
import { parseObject } from '../json.ts';
import { ERROR_BYTES_MAX } from '../limits.ts';
import type { Wire } from '../network/wire.ts';
import { googleFailureOf } from './google-failure.ts';
import type { GoogleAccount } from './google-target.ts';
import { hostHeaderOf } from './set-endpoint.ts';

/** The scope that restic requests: it allows to read, write and delete objects, but not to change permissions. */
const SCOPE = 'https://www.googleapis.com/auth/devstorage.read_write';

const GRANT_TYPE = 'urn:ietf:params:oauth:grant-type:jwt-bearer';

/** Lifetime of an assertion: somewhat longer than a validation may take. Google accepts up to an hour. */
const LIFETIME_S = 300;

/**
 * Visible ASCII, since the token goes into a header. Google's tokens have some hundred characters, those of federated
 * identities some thousand.
 */
const TOKEN = /^[\x21-\x7e]{1,8192}$/;

/**
 * Requests a token for a service account (RFC 7523; "Using OAuth 2.0 for server to server applications"): an assertion
 * that is signed with the account's key, and valid for this server only, is exchanged for the token. The key itself is
 * never sent.
 *
 * @throws ProbeFailure
 */
export async function fetchToken(account: GoogleAccount, wire: Wire, signal: AbortSignal): Promise<string> {
  const form = new URLSearchParams({ grant_type: GRANT_TYPE, assertion: assertionOf(account, Date.now() / 1000) });
  const body = Buffer.from(form.toString());
  const headers = {
    host: hostHeaderOf(account.tokenEndpoint),
    'content-type': 'application/x-www-form-urlencoded',
    'content-length': String(body.length),
  };
  const request = { method: 'POST', path: new URL(account.tokenUri).pathname, headers, body };
  const answer = await wire.exchange(request, ERROR_BYTES_MAX, signal);
  if (answer.status !== 200) throw googleFailureOf(answer);
  const { access_token: token } = parseObject(answer.body) ?? {};
  if (typeof token !== 'string' || !TOKEN.test(token)) {
    throw new ProbeFailure('unexpected_answer', { subject: `HTTP ${answer.status}` });
  }
  return token;
}

/** Makes the assertion: a JSON Web Token, signed with RSA and SHA-256 (RFC 7515, RFC 7519). */
function assertionOf({ email, privateKey, privateKeyId, tokenUri }: ServiceAccount, nowS: number): string {
  const issuedS = Math.floor(nowS);
  const header = { alg: 'RS256', typ: 'JWT', ...(privateKeyId === undefined ? {} : { kid: privateKeyId }) };
  const claims = { iss: email, scope: SCOPE, aud: tokenUri, iat: issuedS, exp: issuedS + LIFETIME_S };
  const signed = [header, claims].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
  return `${signed}.${sign('sha256', Buffer.from(signed), keyOf(privateKey)).toString('base64url')}`;
}

function keyOf(pem: string): KeyObject {
  let key: KeyObject | undefined;
  try {
    key = createPrivateKey(pem);
  } catch {
    // The error of OpenSSL would tell the user nothing more.
  }
  if (key?.asymmetricKeyType !== 'rsa') {
    throw new ProbeFailure('invalid_value', { field: 'service_account', subject: 'service_account' });
  }
  return key;
}
