import type { GrantEntry, PrincipalId, PrincipalRecord, Space } from './records.ts';

/**
 * An index of grants: to whom a credential or a set was granted, what was granted to a principal, and how many grants a
 * space has given. With it, no query becomes slower with the grants of others.
 */
export class GrantIndex {
  readonly #grants: Map<string, Map<PrincipalId, GrantEntry>> = new Map();
  /** The keys of the grants to each principal, see {@link grantKey}. */
  readonly #received: Map<PrincipalId, Set<string>> = new Map();
  readonly #given: Map<Space, number> = new Map();

  grantees(space: Space, kind: GrantEntry['kind'], target: string): ReadonlyMap<PrincipalId, GrantEntry> {
    return this.#grants.get(grantKey({ space, kind, target })) ?? NO_GRANTS;
  }

  /** See `VaultReader.isGranted`. */
  isGranted(principals: readonly PrincipalId[], target: GrantEntry): boolean {
    const key = grantKey(target);
    return principals.some((principal) => this.#received.get(principal)?.has(key) === true);
  }

  /** Returns the number of grants that a space has given, to all principals together. */
  given(space: Space): number {
    return this.#given.get(space) ?? 0;
  }

  /** Updates the index for a change of one principal's record. */
  replace(before: PrincipalRecord | undefined, after: PrincipalRecord | undefined): void {
    const { gone, come } = compareGrants(before?.grants, after?.grants);
    if (before !== undefined) for (const grant of gone) this.#remove(before.principal, grant);
    if (after !== undefined) for (const grant of come) this.#add(after.principal, grant);
  }

  #remove(principal: PrincipalId, grant: GrantEntry): void {
    const key = grantKey(grant);
    const [holders, received] = [this.#grants.get(key), this.#received.get(principal)];
    holders?.delete(principal);
    if (holders?.size === 0) this.#grants.delete(key);
    received?.delete(key);
    if (received?.size === 0) this.#received.delete(principal);
    this.#count(grant.space, -1);
  }

  #add(principal: PrincipalId, grant: GrantEntry): void {
    const key = grantKey(grant);
    const holders = this.#grants.get(key) ?? new Map<PrincipalId, GrantEntry>();
    const received = this.#received.get(principal) ?? new Set<string>();
    this.#grants.set(key, holders.set(principal, grant));
    this.#received.set(principal, received.add(key));
    this.#count(grant.space, 1);
  }

  #count(space: Space, difference: number): void {
    const given = this.given(space) + difference;
    if (given === 0) this.#given.delete(space);
    else this.#given.set(space, given);
  }
}

const NO_GRANTS: ReadonlyMap<PrincipalId, GrantEntry> = new Map();

/** Returns a key that identifies the target of a grant. */
export function grantKey({ space, kind, target }: GrantEntry): string {
  return `${space} ${kind} ${target}`;
}

/** Tells whether two grants have the same target. */
export function isSameGrant(grant: GrantEntry, { space, kind, target }: GrantEntry): boolean {
  return grant.target === target && grant.space === space && grant.kind === kind;
}

/**
 * Returns the grants that are only in the first list and only in the second. Grants that a change keeps are the same
 * objects.
 */
export function compareGrants(
  before: readonly GrantEntry[] = [],
  after: readonly GrantEntry[] = [],
): { readonly gone: readonly GrantEntry[]; readonly come: readonly GrantEntry[] } {
  if (before === after) return { gone: [], come: [] };
  const [had, has] = [new Set(before), new Set(after)];
  return { gone: before.filter((grant) => !has.has(grant)), come: after.filter((grant) => !had.has(grant)) };
}
