import { CredentialError } from '../../src/errors.ts';
import type { ErrorCode } from '../../src/errors.ts';
import { environmentOf } from '../../src/environment.ts';
import { parseName } from '../../src/names.ts';
import { FIELD_IDS } from '../../src/providers/registry.ts';
import { canonicalSetName, memberName, membershipOf } from '../../src/sets.ts';
import { formatAwsFile, formatEnvironmentFile, formatJsonFile, parseSetFileName } from '../../src/set-files.ts';
import type { SetForm } from '../../src/set-files.ts';
import { subjectOfUnit } from '../access/caller.ts';
import type { Subject } from '../access/caller.ts';
import { covers, grantsOf } from '../access/rules.ts';
import { viewSet } from '../access/set-view.ts';
import type { SetView } from '../access/set-view.ts';
import { exists } from '../vault/reader.ts';
import type { VaultReader } from '../vault/reader.ts';
import { currentVersion } from '../vault/records.ts';
import type { GrantEntry, Space } from '../vault/records.ts';
import { wipe } from '../vault/sodium.ts';
import type { Vault } from '../vault/vault.ts';
import type { LoadRequest } from './address.ts';

/** Why a unit gets nothing, for the log. */
export type RefusalReason =
  | 'not_a_name'
  | 'not_granted'
  | 'missing'
  | 'incomplete'
  | 'unfit_for_form'
  | 'empty'
  | ErrorCode;

/** What a unit gets. The recipient owns and wipes the bytes, of which there is at least one. */
export type LoadAnswer =
  | { readonly kind: 'value'; readonly bytes: Uint8Array }
  | { readonly kind: 'waits' }
  | { readonly kind: 'refused'; readonly reason: RefusalReason };

/** The shared space: units are started by systemd, and get credentials of the administrators only. */
const SPACE: Space = 'system';

/**
 * Answers a unit that asks for a credential, or for a set in one file, with what was granted to the unit or its
 * template. A credential takes precedence over a set file of the same name.
 *
 * It does not wait, and anything that it throws is a defect.
 */
export function answerLoad(vault: Vault, { unit, id }: LoadRequest): LoadAnswer {
  const subject = subjectOfUnit(unit);
  try {
    return vault.read((reader) => answerFrom(reader, subject, id));
  } catch (error) {
    if (error instanceof CredentialError) return refused(error.code);
    throw error;
  }
}

function answerFrom(reader: VaultReader, subject: Subject, id: string): LoadAnswer {
  const grants = grantsOf(subject, reader);
  const name = nameIn(id);
  const covering = name === undefined ? [] : grants.filter((grant) => covers(grant, SPACE, name));
  const record = name === undefined || covering.length === 0 ? undefined : reader.credential(SPACE, name);
  if (record !== undefined) return { kind: 'value', bytes: reader.value(record, currentVersion(record).version) };
  const file = parseSetFileName(id);
  const set = file === undefined ? undefined : canonicalSetName(file.set);
  if (file !== undefined && set !== undefined) {
    const ofSet = grants.filter((grant) => isOfSet(grant, set));
    if (ofSet.length > 0) return answerWithSet(reader, subject, { set, form: file.form }, ofSet);
  }
  if (name === undefined) return refused('not_a_name');
  return covering.length === 0 ? refused('not_granted') : notThere(covering, 'missing');
}

function answerWithSet(
  reader: VaultReader,
  subject: Subject,
  { set, form }: { readonly set: string; readonly form: SetForm },
  grants: readonly GrantEntry[],
): LoadAnswer {
  const view = viewSet(subject, reader, SPACE, set);
  if (view === undefined) return notThere(grants, 'missing');
  // A field that exists but was not granted to the unit is not left out: without its session token, a key is a wrong
  // key.
  const isHidden = FIELD_IDS.some((field) => !view.members.has(field) && exists(reader, SPACE, memberName(set, field)));
  if (isHidden) return refused('not_granted');
  if (view.missing.length > 0) return notThere(grants, 'incomplete');
  const values = readValues(reader, view);
  const text = values && formatSet(form, view, values);
  return text === undefined ? refused('unfit_for_form') : { kind: 'value', bytes: Buffer.from(text) };
}

function formatSet(form: SetForm, { set, provider }: SetView, values: ReadonlyMap<string, string>): string | undefined {
  switch (form) {
    case 'env':
      return provider === undefined || [...values.values()].some((value) => value.includes('\0'))
        ? undefined
        : formatEnvironmentFile(environmentOf(set, provider, values));
    case 'json':
      return formatJsonFile(values);
    case 'aws':
      return formatAwsFile(values);
  }
}

/** Returns the values by field; undefined if one of them is not text. */
function readValues(reader: VaultReader, { members }: SetView): ReadonlyMap<string, string> | undefined {
  const values = new Map<string, string>();
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  for (const [field, record] of members) {
    const bytes = reader.value(record, currentVersion(record).version);
    try {
      values.set(field, decoder.decode(bytes));
    } catch {
      return undefined;
    } finally {
      wipe(bytes);
    }
  }
  return values;
}

/** Tells whether a grant is of the set, or of one of its fields. */
function isOfSet(grant: GrantEntry, set: string): boolean {
  if (grant.space !== SPACE) return false;
  return grant.kind === 'set' ? grant.target === set : membershipOf(grant.target)?.set === set;
}

function notThere(grants: readonly GrantEntry[], reason: 'missing' | 'incomplete'): LoadAnswer {
  return grants.some(({ missing }) => missing === 'block') ? { kind: 'waits' } : refused(reason);
}

function nameIn(id: string): string | undefined {
  try {
    return parseName(id);
  } catch {
    return undefined;
  }
}

function refused(reason: RefusalReason): LoadAnswer {
  return { kind: 'refused', reason };
}
