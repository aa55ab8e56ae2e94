import { grantKey, principalsOf } from '../access/grants.ts';
import { requireGrantWithinQuota } from '../access/quota.ts';
import { findWritableTarget, resolveUuid } from '../access/targets.ts';
import { emptyPrincipal } from '../vault/records.ts';
import type { Method } from './context.ts';

/** Lets others read a credential or a set. */
export const grant: Method<'Grant'> = async ({ vault }, caller, parameters) => {
  const principals = principalsOf(parameters.grantees);
  const named = await resolveUuid(vault, caller, parameters.target, parameters.owner);
  return vault.write((writer) => {
    const { space, kind, name } = findWritableTarget(caller, writer, named);
    const entry = { space, kind, target: name };
    for (const id of principals) {
      const principal = writer.principal(id) ?? emptyPrincipal(id);
      if (principal.grants.some((old) => grantKey(old) === grantKey(entry))) continue;
      requireGrantWithinQuota(writer, space);
      writer.putPrincipal({ ...principal, grants: [...principal.grants, entry] });
    }
    return { generation: writer.generation(space) };
  });
};
