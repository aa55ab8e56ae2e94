import { parseServer } from './server.ts';

/** The parts of a Google service account that are needed to request an access token. */
export interface ServiceAccount {
  readonly email: string;
  /** RSA, in PEM (PKCS #8). */
  readonly privateKey: string;
  readonly privateKeyId: string | undefined;
  /** An https URL without user, query and fragment. */
  readonly tokenUri: string;
}

/** Google's endpoint for tokens, used if the account does not name one. */
const TOKEN_URI = 'https://oauth2.googleapis.com/token';

const PRIVATE_KEY = /^\s*-----BEGIN PRIVATE KEY-----[A-Za-z0-9+/=\s]+-----END PRIVATE KEY-----\s*$/;
const EMAIL = /^[A-Za-z0-9._%+-]{1,128}@[A-Za-z0-9.-]{1,253}$/;

/** Parses the JSON that Google issues for a service account. A reason never repeats any part of it. */
export function parseServiceAccount(text: string): ServiceAccount | { readonly reason: string } {
  const account = parseObject(text);
  if (account === undefined) return { reason: 'it is not a JSON object' };
  const { type, client_email: email, private_key: privateKey, private_key_id: id, token_uri: uri } = account;
  if (type !== 'service_account') return { reason: 'its type is not service_account' };
  if (email === undefined || email === null) return { reason: 'it has no client_email' };
  if (typeof email !== 'string' || !EMAIL.test(email)) return { reason: 'its client_email is not valid' };
  if (typeof privateKey !== 'string' || !PRIVATE_KEY.test(privateKey))
    return { reason: 'it has no private_key in PEM' };
  const tokenUri = uri ?? TOKEN_URI;
  if (typeof tokenUri !== 'string' || !isHttpsUrl(tokenUri)) return { reason: 'its token_uri is not an https URL' };
  return { email, privateKey, privateKeyId: typeof id === 'string' ? id : undefined, tokenUri };
}

export function checkServiceAccount(text: string): string | undefined {
  const account = parseServiceAccount(text);
  return 'reason' in account ? account.reason : undefined;
}

/** Parses a JSON object without passing on V8's error messages, which quote the text. */
function parseObject(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
    return isObject ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

function isHttpsUrl(text: string): boolean {
  const [, server, path = ''] = /^(https:\/\/[^/]*)(\/.*)?$/.exec(text) ?? [];
  return (
    server !== undefined && !('reason' in parseServer(server)) && /^[\x21-\x7e]*$/.test(path) && !/[?#]/.test(path)
  );
}
