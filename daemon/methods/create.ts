import { CredentialError } from '../../src/errors.ts';
import { ITEMS_PER_CALL_MAX } from '../../src/limits.ts';
import { parseName } from '../../src/names.ts';
import type { NewCredential, SavedCredential } from '../../src/protocol/interface.generated.ts';
import { fieldOf } from '../../src/providers/registry.ts';
import { membershipOf, providerOf } from '../../src/sets.ts';
import { spaceToWrite } from '../access/rules.ts';
import { wipe } from '../vault/sodium.ts';
import type { Method } from './context.ts';
import { requireGeneration } from './require-generation.ts';
import { saveVersion } from './save-version.ts';
import { fromWire, toWire } from './wire-value.ts';

interface CheckedCredential {
  readonly name: string;
  readonly value: Uint8Array;
}

/** Stores one or many credentials, all or none. */
export const create: Method<'Create'> = async ({ vault, now }, caller, parameters) => {
  const space = spaceToWrite(caller, parameters.owner);
  const credentials = checkAll(parameters.credentials);
  try {
    return await vault.write((writer) => {
      const changed = now();
      const names = credentials.map(({ name }) => name);
      requireGeneration(writer, space, names, parameters.ifGeneration);
      const existing = names.map((name) => writer.credential(space, name));
      const taken = existing.find((record) => record !== undefined);
      if (taken !== undefined && parameters.replace !== true) {
        throw new CredentialError('AlreadyExists', { name: taken.name });
      }
      const saved: SavedCredential[] = credentials.map(({ name, value }, index) => {
        const record = existing[index];
        const version = saveVersion(writer, { space, name, existing: record, value, changed, changedBy: caller.uid });
        return { name, version, created: record === undefined };
      });
      return { generation: writer.generation(space), saved };
    });
  } finally {
    wipe(...credentials.map(({ value }) => value));
  }
};

/** @throws CredentialError `InvalidName`, `InvalidValue`, `TooLarge` */
function checkAll(credentials: readonly NewCredential[]): CheckedCredential[] {
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
      checkField(name, value);
    }
    return [...checked.values()];
  } catch (error) {
    wipe(...[...checked.values()].map(({ value }) => value));
    throw error;
  }
}

/** @throws CredentialError `InvalidValue` where the field of the name says so */
function checkField(name: string, value: Uint8Array): void {
  const membership = membershipOf(name);
  if (membership === undefined) return;
  const field = fieldOf(membership.field, providerOf(membership.set, undefined));
  if (field?.check === undefined) return;
  const wire = toWire(value);
  const reason = 'value' in wire ? field.check(wire.value) : 'it is not text';
  if (reason !== undefined) throw new CredentialError('InvalidValue', { name, reason });
}
