import { ConnectionError } from '../connection-error.ts';
import { decodeValue, type WireValue } from '../value.ts';

/**
 * The bytes of a value in a reply.
 *
 * @throws ConnectionError `bad_reply` if there is none, or two
 */
export function bytesOf(wire: WireValue, socket: string): Uint8Array {
  const bytes = decodeValue(wire);
  if (bytes === undefined) throw new ConnectionError('bad_reply', socket, { detail: 'value' });
  return bytes;
}
