import { ConnectionError } from '../connection-error.ts';
import { decodeValue, type WireValue } from '../value.ts';

/**
 * Returns the bytes of a value in a reply.
 *
 * @throws ConnectionError `bad_reply` if the reply has no value, or has it in both encodings
 */
export function bytesOf(wire: WireValue, socket: string): Uint8Array {
  const bytes = decodeValue(wire);
  if (bytes === undefined) throw new ConnectionError('bad_reply', socket, { detail: 'value' });
  return bytes;
}
