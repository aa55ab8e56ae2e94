import { VALUE_BYTES_MAX } from '../../src/limits.ts';
import { sealForSystemd } from './envelope.ts';

/** The encoding of the answers of one LOAD socket. */
export interface LoadWire {
  /** Part of the names of its descriptors in systemd's store. */
  readonly name: 'plain' | 'sealed';
  /** Returns the bytes to send, which the caller owns and wipes; undefined if systemd would not take that many. */
  encode(id: string, value: Uint8Array): Uint8Array | undefined;
  /** An answer that systemd takes for a failure, so that the unit does not start. */
  readonly refusal: Uint8Array;
}

/** Most bytes of a credential, and of an encrypted one, that systemd reads (creds-util.h). */
const CREDENTIAL_SIZE_MAX: number = VALUE_BYTES_MAX;
const CREDENTIAL_ENCRYPTED_SIZE_MAX: number = VALUE_BYTES_MAX + 128 * 1024;

/**
 * For `LoadCredential=`: the bytes of the value. systemd takes a connection that ends without bytes for an empty
 * secret, and starts the unit with it. The only answer that it takes for a failure is one that is larger than a
 * credential may be (`CREDENTIAL_SIZE_MAX`).
 */
export const PLAIN_WIRE: LoadWire = {
  name: 'plain',
  encode: (_id, value) => Uint8Array.from(value),
  refusal: new Uint8Array(CREDENTIAL_SIZE_MAX + 1),
};

const LINE_END = '\n'.charCodeAt(0);

/**
 * For `LoadCredentialEncrypted=`: an authenticated envelope. The daemon cannot see which of the two settings a unit
 * uses on this socket, so every answer is one that `LoadCredential=` takes for a failure: an envelope is padded with
 * line feeds, which base64 ignores, until it is larger than a plain credential may be.
 */
export const SEALED_WIRE: LoadWire = {
  name: 'sealed',
  encode(id, value) {
    const text = sealForSystemd(id, value, Date.now());
    if (text.length > CREDENTIAL_SIZE_MAX) {
      if (text.length <= CREDENTIAL_ENCRYPTED_SIZE_MAX) return text;
      text.fill(0);
      return undefined;
    }
    const padded = Buffer.alloc(CREDENTIAL_SIZE_MAX + 1, LINE_END);
    padded.set(text);
    text.fill(0);
    return padded;
  },
  refusal: new Uint8Array(CREDENTIAL_ENCRYPTED_SIZE_MAX + 1),
};
