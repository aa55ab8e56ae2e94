import { VALUE_BYTES_MAX } from '../../src/limits.ts';
import { sealForSystemd } from './envelope.ts';

/** How the answers of one LOAD socket look. */
export interface LoadWire {
  /** Part of the names of its descriptors in systemd's store. */
  readonly name: 'plain' | 'sealed';
  /** The bytes to send, which the caller owns and wipes; undefined where systemd would not take that many. */
  encode(id: string, value: Uint8Array): Uint8Array | undefined;
  /** To systemd an end without bytes is an answer, so that the connection must outlive a kill of this process. */
  readonly mustBeKept: boolean;
  /** What systemd takes for a failure, so that the unit does not start. */
  readonly refusal: Uint8Array;
}

/**
 * For `LoadCredential=`: the bytes of the value. To systemd an end without bytes is an empty secret, with which the unit
 * starts; the only answer that it takes for a failure is one that is larger than a credential may be
 * (`CREDENTIAL_SIZE_MAX`).
 */
export const PLAIN_WIRE: LoadWire = {
  name: 'plain',
  encode: (_id, value) => Uint8Array.from(value),
  mustBeKept: true,
  refusal: new Uint8Array(VALUE_BYTES_MAX + 1),
};

/** For `LoadCredentialEncrypted=`: an envelope that proves itself, and no bytes at all for a refusal. */
export const SEALED_WIRE: LoadWire = {
  name: 'sealed',
  encode(id, value) {
    const text = sealForSystemd(id, value, Date.now());
    if (text.length <= SEALED_BYTES_MAX) return text;
    text.fill(0);
    return undefined;
  },
  mustBeKept: false,
  refusal: new Uint8Array(0),
};

/** What systemd reads of an encrypted credential, in base64: `CREDENTIAL_ENCRYPTED_SIZE_MAX`. */
const SEALED_BYTES_MAX: number = VALUE_BYTES_MAX + 128 * 1024;
