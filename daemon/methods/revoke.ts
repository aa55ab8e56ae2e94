import { CredentialError } from '../../src/errors.ts';
import { ITEMS_PER_CALL_MAX } from '../../src/limits.ts';
import { grantKey, principalOf } from '../access/grants.ts';
import { findWritableTarget, resolveUuid } from '../access/targets.ts';
import type { Method } from './context.ts';

/** Takes back what {@link grant} gave. */
export const revoke: Method<'Revoke'> = async ({ vault }, caller, parameters) => {
  if (parameters.grantees.length > ITEMS_PER_CALL_MAX)
    throw new CredentialError('TooLarge', { limit: ITEMS_PER_CALL_MAX });
  const principals = parameters.grantees.map(principalOf);
  if (principals.length === 0) throw new CredentialError('InvalidName', { name: '', reason: 'no grantee is given' });
  const named = await resolveUuid(vault, caller, parameters.target, parameters.owner);
  return vault.write((writer) => {
    const { space, kind, name } = findWritableTarget(caller, writer, named);
    const key = grantKey({ space, kind, target: name });
    let revoked = 0;
    for (const id of new Set(principals)) {
      const principal = writer.principal(id);
      const grants = principal?.grants.filter((old) => grantKey(old) !== key) ?? [];
      if (principal === undefined || grants.length === principal.grants.length) continue;
      writer.putPrincipal({ ...principal, grants });
      revoked += 1;
    }
    return { generation: writer.generation(space), revoked };
  });
};
