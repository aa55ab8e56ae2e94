import { principalsOf } from '../access/grants.ts';
import { findGrantTarget, resolveUuid } from '../access/targets.ts';
import { isSameGrant } from '../vault/grant-index.ts';
import type { Method } from './context.ts';

/** Revokes grants of a credential or a set. */
export const revoke: Method<'Revoke'> = async ({ vault }, caller, parameters) => {
  const principals = principalsOf(parameters.grantees);
  const named = await resolveUuid(vault, caller, parameters.target, parameters.owner);
  return vault.write((writer) => {
    const { space, kind, name } = findGrantTarget(
      caller,
      writer,
      named,
      (target) => writer.grantees(target.space, target.kind, target.name).size > 0,
    );
    const revokedGrant = { space, kind, target: name };
    let revoked = 0;
    for (const id of principals.keys()) {
      const principal = writer.principal(id);
      const grants = principal?.grants.filter((old) => !isSameGrant(old, revokedGrant)) ?? [];
      if (principal === undefined || grants.length === principal.grants.length) continue;
      writer.putPrincipal({ ...principal, grants });
      revoked += 1;
    }
    return { generation: writer.generation(space), revoked };
  }, caller.uid);
};
