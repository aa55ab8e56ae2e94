import { KIND, StoreError } from '../store/sealed-store.ts';
import type { SealedReader } from '../store/sealed-store.ts';
import { GrantIndex } from './grant-index.ts';
import { decodePrincipal, isEmptyPrincipal } from './records.ts';
import type { PrincipalId, PrincipalRecord } from './records.ts';
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
 * Reads the records of all principals. Damaged ones are left out and so grant nothing until a repair; fsck reports
 * them.
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
        const text = sealing.open(KIND.principal, tag, body);
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
