import { isUnitName } from '../../src/units.ts';

/** What systemd asks for, according to the address that it connects from. */
export interface LoadRequest {
  readonly unit: string;
  /** The credential id, as the unit's file has it. */
  readonly id: string;
}

/**
 * Reads the abstract address that systemd binds before it connects: NUL, a random number in hexadecimal, `/unit/`, the
 * name of the unit, `/`, the credential id (systemd.exec(5), LoadCredential=).
 *
 * @param address as getpeername(2) gives it, without the family
 * @returns undefined for any other address
 */
export function parseLoadAddress(address: Uint8Array): LoadRequest | undefined {
  const text = Buffer.from(address).toString('latin1');
  const match = /^\0[0-9a-f]{1,16}\/unit\/([^/]+)\/([\x21-\x2e\x30-\x7e]+)$/.exec(text);
  const [, unit = '', id = ''] = match ?? [];
  return match !== null && isUnitName(unit) ? { unit, id } : undefined;
}
