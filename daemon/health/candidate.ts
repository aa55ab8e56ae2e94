import type { PrimarySet, SetValues } from '../../src/mistakes.ts';
import type { Provider } from '../../src/providers/provider.ts';
import { providerOf } from '../../src/sets.ts';
import type { Subject } from '../access/caller.ts';
import { viewSet } from '../access/set-view.ts';
import type { SetView } from '../access/set-view.ts';
import type { VaultReader } from '../vault/reader.ts';
import { currentVersion } from '../vault/records.ts';
import type { Space } from '../vault/records.ts';
import { wipe } from '../vault/sodium.ts';

/** A set that is to be validated, with its values: as one commit left it, or as it would be. */
export interface Candidate {
  readonly set: string;
  readonly space: Space;
  readonly provider: Provider | undefined;
  readonly values: SetValues;
  /** Fields whose values are not text, and so of no use to any tool. */
  readonly notText: readonly string[];
  /** The set that this one is the alternate of, as far as the subject may read it. */
  readonly primary: PrimarySet | undefined;
}

/** Reads a set as it is. */
export function readCandidate(reader: VaultReader, subject: Subject, view: SetView): Candidate {
  const { set, space, provider } = view;
  return { set, space, provider, ...readValues(reader, view), primary: readPrimary(reader, subject, space, set) };
}

/**
 * Returns a set as it would be with new values in place of the present ones.
 *
 * @param view the set as it is; undefined if nothing of it exists
 * @param values the new values by field; the caller still owns them
 */
export function overlayCandidate(
  reader: VaultReader,
  subject: Subject,
  { space, set }: Pick<SetView, 'space' | 'set'>,
  view: SetView | undefined,
  values: ReadonlyMap<string, Uint8Array>,
): Candidate {
  const added = decodeAll(values);
  const present = view === undefined ? decodeAll(new Map()) : readValues(reader, view);
  const merged = new Map([...[...present.values].filter(([field]) => !values.has(field)), ...added.values]);
  return {
    set,
    space,
    provider: providerOf(set, merged.get('provider')),
    values: merged,
    notText: [...present.notText.filter((field) => !values.has(field)), ...added.notText],
    primary: readPrimary(reader, subject, space, set),
  };
}

function readPrimary(reader: VaultReader, subject: Subject, space: Space, set: string): PrimarySet | undefined {
  const primarySet = set.replace(/_alt$/, '');
  const primary = primarySet === set ? undefined : viewSet(subject, reader, space, primarySet);
  return primary && { set: primarySet, values: readValues(reader, primary).values };
}

type Values = Pick<Candidate, 'values' | 'notText'>;

function readValues(reader: VaultReader, { members }: SetView): Values {
  const bytes = new Map<string, Uint8Array>();
  try {
    for (const [field, record] of members) bytes.set(field, reader.value(record, currentVersion(record).version));
    return decodeAll(bytes);
  } finally {
    wipe(...bytes.values());
  }
}

function decodeAll(bytes: ReadonlyMap<string, Uint8Array>): Values {
  const values = new Map<string, string>();
  const notText: string[] = [];
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  for (const [field, value] of bytes) {
    try {
      values.set(field, decoder.decode(value));
    } catch {
      notText.push(field);
    }
  }
  return { values, notText };
}
