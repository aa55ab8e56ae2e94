import { CredentialError } from '../../src/errors.ts';
import { dropDanglingGrants } from '../access/grants.ts';
import { requireAdministrator } from '../access/rules.ts';
import { fsck as check } from '../vault/fsck.ts';
import { repair } from '../vault/repair.ts';
import type { Method } from './context.ts';

/** Checks the whole store; writes wait meanwhile, reads do not. Nothing is begun for who has left while he waited for his turn. */
export const fsck: Method<'Fsck'> = async ({ vault }, caller, parameters, gone) => {
  requireAdministrator(caller);
  let hasLeft = false;
  const forget = gone(() => {
    hasLeft = true;
  });
  try {
    return await vault.exclusive(async (state, store) => {
      if (hasLeft && parameters.repair !== true) throw new CredentialError('Busy', {});
      const findings = await check(state, store);
      // What is on pages that nobody could look at would be taken for deleted, as it would be on damaged ones.
      const repaired = parameters.repair === true && findings.problems.length > 0 && findings.areInspected;
      if (repaired) repair(state, store, findings, dropDanglingGrants);
      return { records: findings.digest.records, problems: findings.problems, repaired };
    });
  } finally {
    forget();
  }
};
