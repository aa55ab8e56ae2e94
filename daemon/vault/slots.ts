import type { Slot } from '../../src/protocol/interface.generated.ts';
import { areUsable, deriveFromPassphrase, newScryptParameters } from './passphrase.ts';
import type { ScryptParameters } from './passphrase.ts';
import { randomBytes, wipe } from './sodium.ts';
import type { Sodium } from './sodium.ts';

/** Most slots of a store: unlocking with a passphrase may have to try all of them. */
export const SLOTS_MAX = 16;

/** Most slots that are read from a file, to which another program may have added some. */
export const SLOTS_READ_MAX: number = 4 * SLOTS_MAX;

/** Longest text in a slot, that of a path (PATH_MAX): longer ones would fill the log and every list. */
const SLOT_TEXT_MAX = 4096;

/**
 * One way to the root key, as it is stored in the file. All fields but `wrapped` are in clear, since they are needed
 * before anything can be decrypted. They are associated data of `wrapped`, so a change of any of them is noticed.
 */
export interface SlotRecord extends Slot {
  /** For a key file: its path, relative if it is in the state directory. */
  readonly path?: string;
  /** For a systemd slot: the name of the credential that systemd passes to the daemon. */
  readonly credential?: string;
  /** For a passphrase: the parameters of the key derivation. */
  readonly scrypt?: ScryptParameters;
  /** The root key, sealed with the slot's key; base64. */
  readonly wrapped: string;
}

/** The secret of a slot: 32 bytes (from a key file, a systemd credential or a recovery code), or a passphrase. */
export type SlotSecret = { readonly key: Uint8Array } | { readonly passphrase: string };

export interface NewSlot {
  readonly kind: Slot['kind'];
  readonly label?: string;
  readonly path?: string;
  readonly credential?: string;
}

/** Makes a slot that opens with `secret`; the secret and the root key stay the caller's. */
export async function makeSlot(
  sodium: Sodium,
  storeId: Uint8Array,
  rootKey: Uint8Array,
  slot: NewSlot,
  secret: SlotSecret,
  created: number,
): Promise<SlotRecord> {
  const scrypt = 'passphrase' in secret ? { scrypt: newScryptParameters() } : {};
  const clear = { id: Buffer.from(randomBytes(4)).toString('hex'), created, ...slot, ...scrypt };
  const key = await slotKey(sodium, clear, secret);
  try {
    const wrapped = sodium.seal(key, rootKey, slotAssociated(storeId, clear));
    return { ...clear, wrapped: Buffer.from(wrapped).toString('base64') };
  } finally {
    sodium.release(key);
  }
}

/**
 * Returns the root key, allocated by `Sodium` and owned by the caller; undefined if the secret is not the slot's, or
 * the slot was changed.
 */
export async function openSlot(
  sodium: Sodium,
  storeId: Uint8Array,
  slot: SlotRecord,
  secret: SlotSecret,
): Promise<Uint8Array | undefined> {
  const { wrapped, ...clear } = slot;
  const key = await slotKey(sodium, clear, secret);
  try {
    return sodium.openKey(key, Buffer.from(wrapped, 'base64'), slotAssociated(storeId, clear));
  } finally {
    sodium.release(key);
  }
}

export function encodeSlot(slot: SlotRecord): Uint8Array {
  return Buffer.from(JSON.stringify(slot));
}

const SLOT_KINDS: readonly Slot['kind'][] = ['keyfile', 'systemd', 'passphrase', 'recovery'];

/**
 * Decodes a slot; undefined if it cannot be tried. Its fields are not authenticated before {@link openSlot} succeeds.
 */
export function decodeSlot(tag: Uint8Array, body: Uint8Array): SlotRecord | undefined {
  try {
    const slot = JSON.parse(Buffer.from(body).toString()) as SlotRecord;
    const isWhole =
      slot.id === Buffer.from(tag).toString() &&
      typeof slot.wrapped === 'string' &&
      Number.isSafeInteger(slot.created) &&
      [slot.label, slot.path, slot.credential].every((text) => text === undefined || isSlotText(text));
    const isUsable = slot.kind !== 'passphrase' || (slot.scrypt !== undefined && areUsable(slot.scrypt));
    return isWhole && isUsable && SLOT_KINDS.includes(slot.kind) ? slot : undefined;
  } catch {
    // A slot is stored in clear and may contain anything; one that cannot be parsed cannot be tried.
    return undefined;
  }
}

function isSlotText(text: unknown): boolean {
  return typeof text === 'string' && text.length <= SLOT_TEXT_MAX;
}

/** Returns the part of a slot that callers may see. */
export function describeSlot({ id, kind, created, label, path, credential }: SlotRecord): Slot {
  const where = label ?? path ?? credential;
  return { id, kind, created, ...(where === undefined ? {} : { label: where }) };
}

/** Derives the key of a slot, allocated by `Sodium` and owned by the caller. */
async function slotKey(sodium: Sodium, slot: Omit<SlotRecord, 'wrapped'>, secret: SlotSecret): Promise<Uint8Array> {
  const context = Buffer.from(`cio-slot-1\0${slot.id}`);
  if ('key' in secret) return sodium.hashedKey(secret.key, context);
  if (slot.scrypt === undefined) throw new TypeError('a passphrase opens only a passphrase slot');
  const derived = await deriveFromPassphrase(secret.passphrase, slot.scrypt);
  try {
    return sodium.hashedKey(derived, context);
  } finally {
    wipe(derived);
  }
}

/** Builds the associated data of a slot: the store's id and all clear fields, in the order of their names. */
function slotAssociated(storeId: Uint8Array, clear: object): Uint8Array {
  const fields = Object.entries(clear).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return Buffer.concat([Buffer.from('cio-slot-1\0'), storeId, Buffer.from(JSON.stringify(fields))]);
}
