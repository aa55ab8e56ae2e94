import { principalsOf } from '../access/grants.ts';
import { requireGranteeWithinQuota, requireGrantsWithinQuota } from '../access/quota.ts';
import { findGrantTarget, resolveUuid } from '../access/targets.ts';
import { emptyPrincipal } from '../vault/records.ts';
import type { Method } from './context.ts';

/** Lets others read a credential or a set. */
export const grant: Method<'Grant'> = async ({ vault }, caller, parameters) => {
  const principals = principalsOf(parameters.grantees);
  const named = await resolveUuid(vault, caller, parameters.target, parameters.owner);
  const isAwaited = [...principals.values()].every(({ missing }) => missing === 'block');
  return vault.write((writer) => {
    const { space, kind, name } = findGrantTarget(caller, writer, named, () => isAwaited);
    const grantees = writer.grantees(space, kind, name);
    let given = writer.grantsGiven(space);
    for (const [id, terms] of principals) {
      const entry = { space, kind, target: name, ...terms };
      const principal = writer.principal(id) ?? emptyPrincipal(id);
      const old = grantees.get(id);
      if (old !== undefined && old.missing === entry.missing) continue;
      const grants = [...principal.grants.filter((grant) => grant !== old), entry];
      if (old === undefined) {
        given += 1;
        requireGranteeWithinQuota(space, grants);
      }
      requireGrantsWithinQuota(space, given);
      writer.putPrincipal({ ...principal, grants });
    }
    return { generation: writer.generation(space) };
  }, caller.uid);
};
