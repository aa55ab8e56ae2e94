import { GrantIndex } from './grant-index.ts';
import { isEmptyPrincipal } from './records.ts';
import type { PrincipalId, PrincipalRecord } from './records.ts';

/** Every principal's record, and what follows from all of them. Both change together. */
export class Principals extends Map<PrincipalId, PrincipalRecord> {
  readonly grants: GrantIndex = new GrantIndex();

  constructor(records: Iterable<PrincipalRecord> = []) {
    super();
    for (const record of records) this.set(record.principal, record);
  }

  /** Follows a commit: an empty record is one that is gone. */
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
