import { CredentialError } from '../../src/errors.ts';
import type { Credential, Grantee, Health, ListOut, Set as WireSet } from '../../src/protocol/interface.generated.ts';
import { FIELD_IDS, fieldOf } from '../../src/providers/registry.ts';
import { membershipOf, providerOf } from '../../src/sets.ts';
import type { Caller } from '../access/caller.ts';
import { comparePrincipals, granteeOf } from '../access/grants.ts';
import { patternMatcher } from '../access/patterns.ts';
import { mayRead, mayWrite, ownerOfSpace, requireAdministrator, spaceOfOwner } from '../access/rules.ts';
import { SeenFields } from '../access/seen-fields.ts';
import { readableMembers, viewSet, wholeSet } from '../access/set-view.ts';
import type { SetView } from '../access/set-view.ts';
import { uuidOfSet } from '../access/set-uuid.ts';
import { isSelected, visibleCredentials } from '../access/visible.ts';
import type { VisibleOptions } from '../access/visible.ts';
import type { HealthRecords } from '../health/health-records.ts';
import { countDamaged } from '../vault/reader.ts';
import type { VaultReader } from '../vault/reader.ts';
import { currentVersion } from '../vault/records.ts';
import type { CredentialRecord, GrantEntry, Space } from '../vault/records.ts';
import type { TimeSlice } from '../time-slice.ts';
import type { Vault } from '../vault/vault.ts';
import type { Context, StreamingMethod } from './context.ts';
import { healthToWire } from './health-to-wire.ts';
import { toWire } from './wire-value.ts';

/** Credentials or sets in one reply. */
const BATCH = 250;
/**
 * With this many grants, a reply takes no more credentials or sets: with the longest names of units, they are a
 * megabyte. An administrator may grant a credential to any number of units and users.
 */
const GRANTS_BATCH = 4000;
/** Longest public value that a list shows; a longer one is for `Get`. */
const SHOWN_VALUE_BYTES_MAX = 4096;
/** A list of more sets than this reads them past the cache, which keeps some 1,000 credentials. */
const CACHED_SETS_MAX = 500;

/**
 * Lists what the caller may see, in batches; the sets come last, each as one commit left it. Credentials that change
 * while a long list is under way are listed as they were before or after the change.
 *
 * Nothing is read until the list has a place, which it keeps while the client reads: it remembers what it has listed.
 */
export const list: StreamingMethod<'List'> = async function* (context, caller, parameters, onGone) {
  const { vault, changedSets } = context;
  if (parameters.allOwners === true) requireAdministrator(caller);
  using slice = await vault.lists.begin(caller.uid, onGone);
  const unlocked = vault.unlocked();
  const matches = patternMatcher(vault.storeId, parameters.patterns ?? []);
  const owners = {
    only: typeof parameters.owner === 'number' ? spaceOfOwner(parameters.owner) : undefined,
    isEveryone: parameters.allOwners === true,
  };
  const count: VisibleOptions['count'] = { damaged: 0 };
  const describe = new Describer(context, caller, count);
  using seen = new SeenFields(changedSets);
  let batch: Credential[] = [];
  let grants = 0;
  const isFull = (items: readonly (Credential | WireSet)[]): boolean => items.length >= BATCH || grants >= GRANTS_BATCH;
  for await (const record of everyListed(vault, caller, { ...owners, count }, seen, slice)) {
    await slice.pause();
    const isListed = matches(record);
    seen.add(record, isListed);
    if (!isListed) continue;
    const credentials = describe.credential(record);
    batch.push(...credentials);
    grants += countGrants(credentials);
    if (!isFull(batch)) continue;
    yield { credentials: batch, sets: [], damaged: 0 };
    batch = [];
    grants = 0;
  }
  let described: WireSet[] = [];
  for (const { space, set } of seen.listed()) {
    await slice.pause();
    // A field that could not be read was not seen, but it exists.
    const fields = count.damaged === 0 ? seen.fieldsOf(space, set) : FIELD_IDS;
    const sets = describe.set(space, set, fields, seen.size > CACHED_SETS_MAX);
    described.push(...sets);
    grants += countGrants(sets);
    if (!isFull(described)) continue;
    yield { credentials: batch, sets: described, damaged: 0 };
    batch = [];
    described = [];
    grants = 0;
  }
  // A copy was restored meanwhile: the list would be a part of each store.
  if (vault.unlocked() !== unlocked) throw new CredentialError('Busy', {});
  return { credentials: batch, sets: described, damaged: count.damaged } satisfies ListOut;
};

/**
 * Yields every credential that the caller may see, and then those of sets of which none was seen, but which may have
 * existed all the time: each time in fields that the iteration had already passed, or had not reached yet.
 */
async function* everyListed(
  vault: Vault,
  caller: Caller,
  visible: VisibleOptions,
  seen: SeenFields,
  slice: TimeSlice,
): AsyncGenerator<CredentialRecord> {
  yield* visibleCredentials(vault, caller, visible, slice);
  const missed = seen.missed().filter(({ space }) => isSelected(caller, visible, space));
  for (const { space, set } of missed) {
    await slice.pause();
    const members = countDamaged({ damaged: 0 }, () =>
      vault.read((reader) => readableMembers(caller, reader, space, set)),
    );
    if (members !== undefined) yield* members.values();
  }
}

function countGrants(items: readonly (Credential | WireSet)[]): number {
  return items.reduce((sum, { grants }) => sum + (grants?.length ?? 0), 0);
}

/** Puts credentials and sets into their wire form, for one caller. */
class Describer {
  readonly #vault: Vault;
  readonly #health: HealthRecords;
  readonly #caller: Caller;
  readonly #count: VisibleOptions['count'];

  /** @param count counts what could not be read */
  constructor({ vault, health }: Pick<Context, 'vault' | 'health'>, caller: Caller, count: VisibleOptions['count']) {
    this.#vault = vault;
    this.#health = health;
    this.#caller = caller;
    this.#count = count;
  }

  /** Empty if the credential was removed since it was read, or the caller may not read it any more. */
  credential(read: CredentialRecord): Credential[] {
    const record = this.#reread(read);
    if (record === undefined) return [];
    const { name, space, createdBy, created } = record;
    const { version, generation, changed, size } = currentVersion(record);
    const value = countDamaged(this.#count, () => this.#vault.read((reader) => publicValue(reader, record)));
    return [
      {
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
      },
    ];
  }

  /**
   * Returns a record as it is now. It may have been read some turns of the event loop ago, and with a newer value and
   * newer grants it would describe a state that never existed.
   */
  #reread(record: CredentialRecord): CredentialRecord | undefined {
    const { space, name } = record;
    if (this.#vault.unlocked().headBody === this.#count.head) return record;
    return countDamaged(this.#count, () =>
      this.#vault.read((reader) =>
        mayRead(this.#caller, reader, space, name) ? reader.credential(space, name) : undefined,
      ),
    );
  }

  /** Empty if the set was removed meanwhile, or has a damaged field, which was counted with the credentials. */
  set(space: Space, set: string, fields: readonly string[], isOneOfMany: boolean): WireSet[] {
    const look = (reader: VaultReader): SetView | undefined => viewSet(this.#caller, reader, space, set, fields);
    const view = countDamaged({ damaged: 0 }, () => (isOneOfMany ? this.#vault.scan(look) : this.#vault.read(look)));
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
        health: this.#healthOf(view),
        ...(provider === undefined ? {} : { provider: provider.id }),
        ...grants,
      },
    ];
  }

  #healthOf({ space, set, members }: SetView): Health {
    return this.#vault.read((reader) => {
      const record = this.#health.last(reader, space, set);
      if (record === undefined) return healthToWire(undefined, 0, false);
      // With a damaged field, be it one that the caller may not read, the set is not the one that was validated.
      const whole = countDamaged({ damaged: 0 }, () => wholeSet(reader, space, set));
      return healthToWire(record, whole?.generation ?? 0, whole?.size === members.size);
    });
  }

  #access(space: Space, kind: GrantEntry['kind'], target: string): { writable: boolean; grants?: readonly Grantee[] } {
    if (!mayWrite(this.#caller, space)) return { writable: false };
    return {
      writable: true,
      grants: this.#vault.read((reader) =>
        [...reader.grantees(space, kind, target)]
          // In a fixed order, whatever else was granted to these grantees.
          .toSorted(([a], [b]) => comparePrincipals(a, b))
          .map(([principal, terms]) => granteeOf(principal, terms)),
      ),
    };
  }
}

/**
 * Returns the value of a field that is not secret; undefined for any other field, and if it is not text or too long.
 *
 * @throws CredentialError `Damaged`
 */
function publicValue(reader: VaultReader, record: CredentialRecord): string | undefined {
  const membership = membershipOf(record.name);
  const field = membership && fieldOf(membership.field, providerOf(membership.set, undefined));
  const { version, size } = currentVersion(record);
  if (field === undefined || field.isSecret || size > SHOWN_VALUE_BYTES_MAX) return undefined;
  const wire = toWire(reader.value(record, version));
  return 'value' in wire ? wire.value : undefined;
}
