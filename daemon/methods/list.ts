import { CredentialError } from '../../src/errors.ts';
import { matchesGlob } from '../../src/glob.ts';
import { NAME_LENGTH_MAX } from '../../src/limits.ts';
import { canonicalName, isUuid } from '../../src/names.ts';
import type { Credential, Grantee, ListOut, Set as WireSet } from '../../src/protocol/interface.generated.ts';
import { fieldOf } from '../../src/providers/registry.ts';
import { canonicalSetName, membershipOf, providerOf } from '../../src/sets.ts';
import type { Caller } from '../access/caller.ts';
import { comparePrincipals, granteeOf } from '../access/grants.ts';
import { mayWrite, ownerOfSpace, requireAdministrator, spaceOfOwner } from '../access/rules.ts';
import { viewSet } from '../access/set-view.ts';
import { uuidOfSet } from '../access/set-uuid.ts';
import { visibleCredentials } from '../access/visible.ts';
import { countDamaged } from '../vault/reader.ts';
import type { VaultReader } from '../vault/reader.ts';
import { currentVersion } from '../vault/records.ts';
import type { CredentialRecord, GrantEntry, Space } from '../vault/records.ts';
import { TimeSlice } from '../time-slice.ts';
import type { Vault } from '../vault/vault.ts';
import type { StreamingMethod } from './context.ts';
import { toWire } from './wire-value.ts';

/** Credentials or sets in one reply. */
const BATCH = 250;
/** Most patterns of one call: each is held against each name. */
const PATTERNS_MAX = 100;
/** Longest public value that a list shows; a longer one is for `Get`. */
const SHOWN_VALUE_BYTES_MAX = 4096;

/**
 * Lists what the caller may see, in batches; the sets come last, each as one commit left it. Credentials that change
 * while a long list is under way are told as they were before or after.
 */
export const list: StreamingMethod<'List'> = async function* ({ vault }, caller, parameters) {
  if (parameters.allOwners === true) requireAdministrator(caller);
  const patterns = parameters.patterns ?? [];
  if (patterns.length > PATTERNS_MAX) throw new CredentialError('TooLarge', { limit: PATTERNS_MAX });
  if (patterns.some((pattern) => pattern.length > NAME_LENGTH_MAX)) {
    throw new CredentialError('InvalidName', {
      name: '',
      reason: `a pattern is longer than ${NAME_LENGTH_MAX} characters`,
    });
  }
  const only = typeof parameters.owner === 'number' ? spaceOfOwner(parameters.owner) : undefined;
  const isEveryone = parameters.allOwners === true;
  const count = { damaged: 0 };
  const describe = new Describer(vault, caller, count);
  const slice = new TimeSlice(vault.turns);
  const matches = matcher(vault.storeId, patterns);
  const sets = new Map<string, { space: Space; set: string }>();
  let batch: Credential[] = [];
  for await (const record of visibleCredentials(vault, caller, { only, isEveryone, count })) {
    await slice.pause();
    if (!matches(record)) continue;
    const set = membershipOf(record.name)?.set;
    if (set !== undefined) sets.set(`${record.space} ${set}`, { space: record.space, set });
    batch.push(describe.credential(record));
    if (batch.length < BATCH) continue;
    yield { credentials: batch, sets: [], damaged: 0 };
    batch = [];
  }
  let described: WireSet[] = [];
  for (const { space, set } of sets.values()) {
    await slice.pause();
    described.push(...describe.set(space, set));
    if (described.length < BATCH) continue;
    yield { credentials: batch, sets: described, damaged: 0 };
    batch = [];
    described = [];
  }
  return { credentials: batch, sets: described, damaged: count.damaged } satisfies ListOut;
};

/** Tells whether a credential is meant by one of the patterns; by none, every one is. */
function matcher(storeId: Uint8Array, patterns: readonly string[]): (record: CredentialRecord) => boolean {
  if (patterns.length === 0) return () => true;
  const tests = patterns.map((pattern) => {
    const name = canonicalName(pattern);
    const set = canonicalSetName(pattern);
    const uuid = isUuid(pattern) ? pattern.toLowerCase() : undefined;
    return (record: CredentialRecord): boolean => {
      const own = membershipOf(record.name)?.set;
      if (record.name === name || matchesGlob(name, record.name)) return true;
      if (own === undefined) return false;
      return own === set || (uuid !== undefined && uuidOfSet(storeId, record.space, own) === uuid);
    };
  });
  return (record) => tests.some((test) => test(record));
}

/** Puts credentials and sets into their wire form, for one caller. */
class Describer {
  readonly #vault: Vault;
  readonly #caller: Caller;
  readonly #count: { damaged: number };

  /** @param count counts the values that could not be read */
  constructor(vault: Vault, caller: Caller, count: { damaged: number }) {
    this.#vault = vault;
    this.#caller = caller;
    this.#count = count;
  }

  credential(record: CredentialRecord): Credential {
    const { name, space, createdBy, created } = record;
    const { version, generation, changed, size } = currentVersion(record);
    const value = countDamaged(this.#count, () => this.#vault.read((reader) => publicValue(reader, record)));
    return {
      name,
      owner: ownerOfSpace(space),
      createdBy,
      version,
      generation,
      created,
      changed,
      size,
      ...membershipOf(name),
      ...(value === undefined ? {} : { value }),
      ...this.#access(space, 'name', name),
    };
  }

  /** Empty where the set is gone meanwhile, or has a damaged field, which was counted with the credentials. */
  set(space: Space, set: string): WireSet[] {
    const view = countDamaged({ damaged: 0 }, () =>
      this.#vault.read((reader) => viewSet(this.#caller, reader, space, set)),
    );
    if (view === undefined) return [];
    const { provider, members, missing, generation, changed } = view;
    const { writable: _, ...grants } = this.#access(space, 'set', set);
    return [
      {
        set,
        uuid: uuidOfSet(this.#vault.storeId, space, set),
        owner: ownerOfSpace(space),
        ready: missing.length === 0,
        missing,
        fields: [...members.keys()],
        generation,
        changed,
        ...(provider === undefined ? {} : { provider: provider.id }),
        ...grants,
      },
    ];
  }

  #access(space: Space, kind: GrantEntry['kind'], target: string): { writable: boolean; grants?: readonly Grantee[] } {
    if (!mayWrite(this.#caller, space)) return { writable: false };
    return {
      writable: true,
      grants: this.#vault.read((reader) =>
        [...reader.grantees(space, kind, target)]
          // In one order, whatever else was granted to them, and by whom.
          .toSorted(([a], [b]) => comparePrincipals(a, b))
          .map(([principal, terms]) => granteeOf(principal, terms)),
      ),
    };
  }
}

/**
 * The value of a field that is no secret; undefined for every other, and for one that is not text.
 *
 * @throws CredentialError `Damaged`
 */
function publicValue(reader: VaultReader, record: CredentialRecord): string | undefined {
  const membership = membershipOf(record.name);
  const field = membership && fieldOf(membership.field, providerOf(membership.set, undefined));
  const { version, size } = currentVersion(record);
  if (field === undefined || field.isSecret || size > SHOWN_VALUE_BYTES_MAX) return undefined;
  // The record may have been read some turns ago; a value that was replaced or removed since is no damaged one.
  const now = reader.credential(record.space, record.name);
  if (now === undefined || currentVersion(now).version !== version || now.id !== record.id) return undefined;
  const wire = toWire(reader.value(record, version));
  return 'value' in wire ? wire.value : undefined;
}
