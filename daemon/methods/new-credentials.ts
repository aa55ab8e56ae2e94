import { CredentialError } from '../../src/errors.ts';
import { invalidValueReason } from '../../src/field-check.ts';
import { ITEMS_PER_CALL_MAX } from '../../src/limits.ts';
import { parseName } from '../../src/names.ts';
import type { NewCredential, SavedCredential } from '../../src/protocol/interface.generated.ts';
import { memberName, membershipOf } from '../../src/sets.ts';
import type { VaultReader } from '../vault/reader.ts';
import type { Space } from '../vault/records.ts';
import { wipe } from '../vault/sodium.ts';
import type { VaultWriter } from '../vault/transaction.ts';
import { saveVersion } from './save-version.ts';
import { fromWire, toWire } from './wire-value.ts';

/** A credential that may be stored. */
export interface CheckedCredential {
  /** In its canonical spelling. */
  readonly name: string;
  readonly value: Uint8Array;
}

/**
 * Checks the credentials that a call wants stored, each name once. The caller owns and wipes the values.
 *
 * @throws CredentialError `InvalidName`, `InvalidValue`, `TooLarge`
 */
export function checkCredentials(credentials: readonly NewCredential[]): CheckedCredential[] {
  if (credentials.length > ITEMS_PER_CALL_MAX) throw new CredentialError('TooLarge', { limit: ITEMS_PER_CALL_MAX });
  if (credentials.length === 0)
    throw new CredentialError('InvalidName', { name: '', reason: 'no credential is given' });
  const checked = new Map<string, CheckedCredential>();
  try {
    for (const credential of credentials) {
      const name = parseName(credential.name);
      if (checked.has(name))
        throw new CredentialError('InvalidName', { name, reason: 'it is given twice in one call' });
      const value = fromWire(name, credential);
      checked.set(name, { name, value });
    }
    for (const { name, value } of checked.values()) checkField(name, value, checked);
    return [...checked.values()];
  } catch (error) {
    wipeCredentials(checked.values());
    throw error;
  }
}

export function wipeCredentials(credentials: Iterable<CheckedCredential>): void {
  for (const { value } of credentials) wipe(value);
}

/** @throws CredentialError `AlreadyExists` */
export function requireAbsent(reader: VaultReader, space: Space, credentials: readonly CheckedCredential[]): void {
  const taken = credentials.find(({ name }) => reader.credential(space, name) !== undefined);
  if (taken !== undefined) throw new CredentialError('AlreadyExists', { name: taken.name });
}

/** Who stores something, where and when. */
export interface Saving {
  readonly space: Space;
  readonly changed: number;
  readonly changedBy: number;
}

/** Stores each as the current version of its name. @throws CredentialError `TooLarge` if a quota is used up */
export function saveCredentials(
  writer: VaultWriter,
  credentials: readonly CheckedCredential[],
  { space, changed, changedBy }: Saving,
): SavedCredential[] {
  return credentials.map(({ name, value }) => {
    const existing = writer.credential(space, name);
    const version = saveVersion(writer, { space, name, existing, value, changed, changedBy });
    return { name, version, created: existing === undefined };
  });
}

/** @throws CredentialError `InvalidValue` if the field does not take such a value */
function checkField(name: string, value: Uint8Array, all: ReadonlyMap<string, CheckedCredential>): void {
  const membership = membershipOf(name);
  if (membership === undefined) return;
  const providerField = textOf(all.get(memberName(membership.set, 'provider'))?.value);
  const reason = invalidValueReason(name, () => textOf(value), providerField);
  if (reason !== undefined) throw new CredentialError('InvalidValue', { name, reason });
}

/** Returns a value as text; undefined if there is no value, or it is not text. */
function textOf(value: Uint8Array | undefined): string | undefined {
  if (value === undefined) return undefined;
  const wire = toWire(value);
  return 'value' in wire ? wire.value : undefined;
}
