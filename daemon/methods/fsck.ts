import { dropDanglingGrants } from '../access/grants.ts';
import { requireAdministrator } from '../access/rules.ts';
import { fsck as check } from '../vault/fsck.ts';
import { repair } from '../vault/repair.ts';
import type { Method } from './context.ts';

/** Checks the whole store; writes wait meanwhile, reads do not. */
export const fsck: Method<'Fsck'> = async ({ vault }, caller, parameters) => {
  requireAdministrator(caller);
  return vault.exclusive(async (state, store) => {
    const findings = await check(state, store);
    const repaired = parameters.repair === true && findings.problems.length > 0;
    if (repaired) repair(state, store, findings, dropDanglingGrants);
    return { records: findings.digest.records, problems: findings.problems, repaired };
  });
};
