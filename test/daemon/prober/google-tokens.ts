import { createPublicKey, generateKeyPairSync, verify, type KeyObject } from 'node:crypto';

import type { Answerer } from './stub-server.ts';

const EMAIL = 'backup@project.iam.gserviceaccount.com';

/** The scope that the prober and restic ask for. */
const SCOPE = 'https://www.googleapis.com/auth/devstorage.read_write';

/** The scope that rclone asks for, which includes changing access rights. */
export const RCLONE_SCOPE = 'https://www.googleapis.com/auth/devstorage.full_control';

/** The token that the storage server receives. */
export const TOKEN = 'ya29.a-token-of-this-test';

/** The key of a service account, as JSON in Google's form and as known to the token server. */
export class ServiceAccountKey {
  readonly #private: KeyObject;
  readonly publicKey: KeyObject;

  constructor() {
    this.#private = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
    this.publicKey = createPublicKey(this.#private);
  }

  json(tokenUri: string, rest: Readonly<Record<string, unknown>> = {}): string {
    return JSON.stringify({
      type: 'service_account',
      project_id: 'project',
      private_key_id: 'key-1',
      private_key: this.#private.export({ type: 'pkcs8', format: 'pem' }),
      client_email: EMAIL,
      token_uri: tokenUri,
      ...rest,
    });
  }
}

/** Grants {@link TOKEN} for a valid assertion (RFC 7523), and otherwise answers as Google does. */
export function grantTokens(publicKey: KeyObject, audience: () => string, scopes: readonly string[] = []): Answerer {
  return (_request, response, body) => {
    const answer = (status: number, content: object): void => {
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(content));
    };
    const refuse = (text: string): void => answer(400, { error: 'invalid_grant', error_description: text });
    const form = new URLSearchParams(body.toString());
    const [header = '', claims = '', signature = ''] = (form.get('assertion') ?? '').split('.');
    const { alg } = parse(header);
    const { iss, aud, scope, iat, exp } = parse(claims);
    const nowS = Date.now() / 1000;
    const isSigned = verify(
      'sha256',
      Buffer.from(`${header}.${claims}`),
      publicKey,
      Buffer.from(signature, 'base64url'),
    );
    if (form.get('grant_type') !== 'urn:ietf:params:oauth:grant-type:jwt-bearer') refuse('Bad Request');
    else if (iss !== EMAIL) refuse('Invalid grant: account not found');
    else if (alg !== 'RS256' || !isSigned) refuse('Invalid JWT Signature.');
    else if (Number(iat) > nowS + 1 || Number(exp) < nowS || Number(exp) > Number(iat) + 3600) {
      refuse('Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe.');
    } else if (aud !== audience() || ![SCOPE, ...scopes].includes(String(scope))) {
      refuse('Invalid JWT audience.');
    } else answer(200, { access_token: TOKEN, expires_in: 3599, token_type: 'Bearer' });
  };
}

function parse(part: string): Readonly<Record<string, unknown>> {
  return JSON.parse(Buffer.from(part, 'base64url').toString() || '{}') as Record<string, unknown>;
}
