import { CredentialError } from '../../src/errors.ts';
import { dropDanglingGrants } from '../access/grants.ts';
import { requireAdministrator } from '../access/rules.ts';
import { Latch } from '../emitter.ts';
import { fsck as check } from '../vault/fsck.ts';
import { repair } from '../vault/repair.ts';
import type { Method } from './context.ts';

/**
 * Checks the whole store; writes wait meanwhile, reads do not. A check ends when the caller has left; a repair does
 * not.
 */
export const fsck: Method<'Fsck'> = async ({ vault }, caller, parameters, onGone) => {
  requireAdministrator(caller);
  using gone = new Latch(onGone);
  const requireWanted = (): void => {
    if (gone.isSet && parameters.repair !== true) throw new CredentialError('Busy', {});
  };
  return await vault.exclusive(async (state, store) => {
    requireWanted();
    const findings = await check(state, store, undefined, requireWanted);
    // If the pages could not be inspected, records on damaged pages would be taken for deleted.
    const repaired = parameters.repair === true && findings.problems.length > 0 && findings.areInspected;
    if (repaired) repair(state, store, findings, dropDanglingGrants);
    return { records: findings.digest.records, problems: findings.problems, repaired };
  });
};
