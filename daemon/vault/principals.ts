import { KIND, StoreError } from '../store/sealed-store.ts';
import type { SealedReader } from '../store/sealed-store.ts';
import { GrantIndex, isSameGrant } from './grant-index.ts';
import { decodePrincipal, emptyPrincipal, isEmptyPrincipal } from './records.ts';
import type { GrantEntry, PrincipalId, PrincipalRecord, Space } from './records.ts';
import type { Sealing } from './sealing.ts';

const PAGE = 500;

/** The records of all principals, and the index of their grants, which is updated with each change. */
export class Principals extends Map<PrincipalId, PrincipalRecord> {
  readonly grants: GrantIndex = new GrantIndex();

  /** Applies the changes of a commit; an empty record was deleted. */
  follow(changed: Iterable<PrincipalRecord>): void {
    for (const record of changed) {
      if (isEmptyPrincipal(record)) this.delete(record.principal);
      else this.set(record.principal, record);
    }
  }

  override set(id: PrincipalId, record: PrincipalRecord): this {
    this.grants.replace(this.get(id), record);
    return super.set(id, record);
  }

  override delete(id: PrincipalId): boolean {
    this.grants.replace(this.get(id), undefined);
    return super.delete(id);
  }
}

/**
 * The principals that one commit will change, laid over the committed ones. The changes of a call are kept or dropped
 * as a whole.
 */
export class StagedPrincipals {
  readonly #committed: Principals;
  readonly #kept: Map<PrincipalId, PrincipalRecord> = new Map();
  readonly #changes: Map<PrincipalId, PrincipalRecord> = new Map();

  /** @param committed is not changed */
  constructor(committed: Principals) {
    this.#committed = committed;
  }

  get(id: PrincipalId): PrincipalRecord | undefined {
    return this.#changes.get(id) ?? this.#kept.get(id) ?? this.#committed.get(id);
  }

  *values(): Generator<PrincipalRecord, void, undefined> {
    for (const id of new Set([...this.#committed.keys(), ...this.#kept.keys(), ...this.#changes.keys()]))
      yield this.get(id) ?? emptyPrincipal(id);
  }

  /** See `VaultReader.grantees`. */
  grantees(space: Space, kind: GrantEntry['kind'], target: string): ReadonlyMap<PrincipalId, GrantEntry> {
    const wanted = { space, kind, target };
    const grantees = new Map(this.#committed.grants.grantees(space, kind, target));
    for (const { id, grants } of this.#changedGrants()) {
      const grant = grants.find((given) => isSameGrant(given, wanted));
      if (grant === undefined) grantees.delete(id);
      else grantees.set(id, grant);
    }
    return grantees;
  }

  /** See `VaultReader.isGranted`. */
  isGranted(principals: readonly PrincipalId[], target: GrantEntry): boolean {
    const isChanged = (id: PrincipalId): boolean => this.#changes.has(id) || this.#kept.has(id);
    return (
      this.#committed.grants.isGranted(
        principals.filter((id) => !isChanged(id)),
        target,
      ) ||
      principals.some(
        (id) => isChanged(id) && this.get(id)?.grants.some((grant) => isSameGrant(grant, target)) === true,
      )
    );
  }

  /** See `VaultReader.grantsGiven`. */
  grantsGiven(space: Space): number {
    const count = (grants: readonly GrantEntry[]): number => grants.filter((grant) => grant.space === space).length;
    let given = this.#committed.grants.given(space);
    for (const { grants, before } of this.#changedGrants()) given += count(grants) - count(before);
    return given;
  }

  put(record: PrincipalRecord): void {
    this.#changes.set(record.principal, record);
  }

  /** Adds the changes since the last {@link keep} or {@link drop} to the commit. */
  keep(): void {
    for (const [id, principal] of this.#changes) this.#kept.set(id, principal);
    this.#changes.clear();
  }

  /** Discards the changes since the last {@link keep}. */
  drop(): void {
    this.#changes.clear();
  }

  /** Returns the kept changes. */
  kept(): PrincipalRecord[] {
    return [...this.#kept.values()];
  }

  get hasKept(): boolean {
    return this.#kept.size > 0;
  }

  /**
   * Yields the principals whose grants changed. A change of anything else keeps the same array, so comparing references
   * is enough.
   */
  *#changedGrants(): Generator<{ id: PrincipalId; grants: readonly GrantEntry[]; before: readonly GrantEntry[] }> {
    for (const id of new Set([...this.#kept.keys(), ...this.#changes.keys()])) {
      const [grants, before] = [this.get(id)?.grants ?? [], this.#committed.get(id)?.grants ?? []];
      if (grants !== before) yield { id, grants, before };
    }
  }
}

/**
 * Reads the records of all principals. Damaged ones are left out and so grant nothing until a repair; fsck reports
 * them. So are those that a look-up does not find: in a forged b-tree, `SelfCheck` may not see them either.
 */
export function readPrincipals(
  store: SealedReader,
  sealing: Sealing,
): { readonly principals: Principals; readonly arePrincipalsWhole: boolean } {
  const principals = new Principals();
  let arePrincipalsWhole = true;
  try {
    let after: Uint8Array | undefined;
    do {
      const page = store.list(KIND.principal, after, PAGE);
      for (const { tag, body } of page) {
        const found = store.get(KIND.principal, tag);
        const isFound = found !== undefined && Buffer.compare(found, body) === 0;
        const text = isFound ? sealing.open(KIND.principal, tag, body) : undefined;
        const record = text && decodePrincipal(text);
        if (record === undefined) arePrincipalsWhole = false;
        else principals.set(record.principal, record);
      }
      after = page.length < PAGE ? undefined : page.at(-1)?.tag;
    } while (after !== undefined);
  } catch (error) {
    if (!(error instanceof StoreError && error.failure === 'damaged')) throw error;
    arePrincipalsWhole = false;
  }
  return { principals, arePrincipalsWhole };
}
