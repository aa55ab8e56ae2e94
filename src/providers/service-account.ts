import { parseServer } from './server.ts';

/** What is needed of a service account of Google's to ask for a token in its name. */
export interface ServiceAccount {
  readonly email: string;
  /** RSA, in PEM (PKCS #8). */
  readonly privateKey: string;
  readonly privateKeyId: string | undefined;
  /** An https URL without user, query and fragment. */
  readonly tokenUri: string;
}

/** Where tokens are given out, if the account does not say. */
const TOKEN_URI = 'https://oauth2.googleapis.com/token';

const PRIVATE_KEY = /^\s*-----BEGIN PRIVATE KEY-----[A-Za-z0-9+/=\s]+-----END PRIVATE KEY-----\s*$/;
const EMAIL = /^[A-Za-z0-9._%+-]{1,128}@[A-Za-z0-9.-]{1,253}$/;

/** Reads the JSON that Google gives out for a service account; a reason never repeats a part of it. */
export function parseServiceAccount(text: string): ServiceAccount | { readonly reason: string } {
  const account = parseObject(text);
  if (account === undefined) return { reason: 'it is no JSON object' };
  const { type, client_email: email, private_key: privateKey, private_key_id: id, token_uri: uri } = account;
  if (type !== 'service_account') return { reason: 'its type is not service_account' };
  if (email === undefined || email === null) return { reason: 'it has no client_email' };
  if (typeof email !== 'string' || !EMAIL.test(email)) return { reason: 'its client_email is not valid' };
  if (typeof privateKey !== 'string' || !PRIVATE_KEY.test(privateKey))
    return { reason: 'it has no private_key in PEM' };
  const tokenUri = uri ?? TOKEN_URI;
  if (typeof tokenUri !== 'string' || !isHttpsUrl(tokenUri)) return { reason: 'its token_uri is no https URL' };
  return { email, privateKey, privateKeyId: typeof id === 'string' ? id : undefined, tokenUri };
}

export function checkServiceAccount(text: string): string | undefined {
  const account = parseServiceAccount(text);
  return 'reason' in account ? account.reason : undefined;
}

/** V8's own message, which quotes the text, goes nowhere. */
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
