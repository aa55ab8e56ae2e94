import { createHash } from 'node:crypto';

import type { JsonObject } from '../json.ts';
import { decodeBase64, parseObject } from '../json.ts';
import type { Refusal } from './refusal.ts';
import type { ScryptParameters } from './scrypt.ts';
import { isAffordable, isScrypt } from './scrypt.ts';
import { SEAL_BYTES } from './sealed.ts';

/** A file below `keys/`: the master key, encrypted with a key from scrypt and a password. Nothing here is secret. */
export interface KeyFile {
  readonly parameters: ScryptParameters;
  readonly salt: Uint8Array;
  readonly sealed: Uint8Array;
}

/** Largest key file that is accepted; restic's have 450 bytes, which include the names of a user and a host. */
export const KEY_FILE_BYTES_MAX: number = 16 * 1024;

/** Length of a salt in restic (`internal/crypto/kdf.go`), which accepts no other. */
const SALT_BYTES = 64;

/** Largest encrypted master key that is accepted; restic's have 163 bytes. */
const SEALED_BYTES_MAX = 1024;

const NAME = /^[0-9a-f]{64}$/;

/** Tells whether a file has a name that a key file can have; restic skips all others. */
export function isKeyName(name: string): boolean {
  return NAME.test(name);
}

/**
 * Parses a key file, which anyone who can write to the bucket may have made. The work and memory that it asks for are
 * bounded here, before anything is derived.
 *
 * @param name the name of the file below `keys/`: the SHA-256 of its bytes, in hex
 */
export function parseKeyFile(bytes: Uint8Array, name: string): KeyFile | Refusal {
  const subject = `keys/${name}`;
  const isNamedRightly = bytes.length <= KEY_FILE_BYTES_MAX && sha256(bytes) === name;
  const file = isNamedRightly ? readMembers(parseObject(bytes)) : undefined;
  if (file === undefined || !isScrypt(file.parameters)) return { reason: 'not_a_repository', subject };
  return isAffordable(file.parameters) ? file : { reason: 'untrusted_parameters', subject };
}

function readMembers(object: JsonObject | undefined): KeyFile | undefined {
  if (object?.['kdf'] !== 'scrypt') return undefined;
  const { N, r, p } = object;
  if (typeof N !== 'number' || typeof r !== 'number' || typeof p !== 'number') return undefined;
  const salt = decodeBase64(object['salt']);
  const sealed = decodeBase64(object['data']);
  if (salt?.length !== SALT_BYTES || sealed === undefined) return undefined;
  if (sealed.length < SEAL_BYTES || sealed.length > SEALED_BYTES_MAX) return undefined;
  return { parameters: { N, r, p }, salt, sealed };
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
