import { createHash } from 'node:crypto';

import type { JsonObject } from '../json.ts';
import { decodeBase64, parseObject } from '../json.ts';
import type { Refusal } from './refusal.ts';
import type { ScryptParameters } from './scrypt.ts';
import { isAffordable, isScrypt } from './scrypt.ts';
import { SEAL_BYTES } from './sealed.ts';

/** A file below `keys/`: the master key, sealed under what scrypt makes of a password. Nothing in it is secret. */
export interface KeyFile {
  readonly parameters: ScryptParameters;
  readonly salt: Uint8Array;
  readonly sealed: Uint8Array;
}

/** Largest file of a key: restic's have 450 bytes, with the names of a user and a host among them. */
export const KEY_FILE_BYTES_MAX: number = 16 * 1024;

/** restic's own length of a salt (`internal/crypto/kdf.go`); it takes no other. */
const SALT_BYTES = 64;

/** Largest sealed master key: restic's have 163 bytes. */
const SEALED_BYTES_MAX = 1024;

const NAME = /^[0-9a-f]{64}$/;

/** Tells whether a file is called like a key; restic passes over the others. */
export function isKeyName(name: string): boolean {
  return NAME.test(name);
}

/**
 * Reads the file of a key, which whoever can write to the bucket may have made. What it asks for is bounded here, before
 * anything is derived.
 *
 * @param name its name below `keys/`: the SHA-256 of its bytes, in hex
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
