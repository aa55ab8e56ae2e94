import { CredentialError } from '../../src/errors.ts';
import { dropDanglingGrants } from '../access/grants.ts';
import { requireAdministrator } from '../access/rules.ts';
import { fsck as check } from '../vault/fsck.ts';
import { repair } from '../vault/repair.ts';
import type { Method } from './context.ts';

/** Checks the whole store; writes wait meanwhile, reads do not. It ends when who asked has left; a repair does not. */
export const fsck: Method<'Fsck'> = async ({ vault }, caller, parameters, gone) => {
  requireAdministrator(caller);
  let hasLeft = false;
  const forget = gone(() => {
    hasLeft = true;
  });
  const requireWanted = (): void => {
    if (hasLeft && parameters.repair !== true) throw new CredentialError('Busy', {});
  };
  try {
    return await vault.exclusive(async (state, store) => {
      requireWanted();
      const findings = await check(state, store, undefined, requireWanted);
      // What is on pages that nobody could look at would be taken for deleted, as it would be on damaged ones.
      const repaired = parameters.repair === true && findings.problems.length > 0 && findings.areInspected;
      if (repaired) repair(state, store, findings, dropDanglingGrants);
      return { records: findings.digest.records, problems: findings.problems, repaired };
    });
  } finally {
    forget();
  }
};
