import { principalsOf } from '../access/grants.ts';
import { requireGrantsWithinQuota } from '../access/quota.ts';
import { findWritableTarget, resolveUuid } from '../access/targets.ts';
import { grantKey } from '../vault/grant-index.ts';
import { emptyPrincipal } from '../vault/records.ts';
import type { Method } from './context.ts';

/** Lets others read a credential or a set. */
export const grant: Method<'Grant'> = async ({ vault }, caller, parameters) => {
  const principals = principalsOf(parameters.grantees);
  const named = await resolveUuid(vault, caller, parameters.target, parameters.owner);
  return vault.write((writer) => {
    const { space, kind, name } = findWritableTarget(caller, writer, named);
    const entry = { space, kind, target: name };
    let given = writer.grantsGiven(space);
    for (const id of principals) {
      const principal = writer.principal(id) ?? emptyPrincipal(id);
      if (principal.grants.some((old) => grantKey(old) === grantKey(entry))) continue;
      given += 1;
      requireGrantsWithinQuota(space, given);
      writer.putPrincipal({ ...principal, grants: [...principal.grants, entry] });
    }
    return { generation: writer.generation(space) };
  });
};
