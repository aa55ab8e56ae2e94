import { CredentialError } from '../../src/errors.ts';
import { requireAdministrator } from '../access/rules.ts';
import { formatUuid } from '../access/set-uuid.ts';
import type { Method } from './context.ts';

/** Replaces the contents of the store by those of a copy, or only reports what the copy is. */
export const restore: Method<'Restore'> = async ({ copies }, caller, parameters) => {
  requireAdministrator(caller);
  const passphrase = parameters.passphrase ?? undefined;
  const recoveryCode = parameters.recoveryCode ?? undefined;
  if (passphrase !== undefined && recoveryCode !== undefined) {
    throw new CredentialError('InvalidValue', { name: 'passphrase', reason: 'a recovery code was given as well' });
  }
  const secret = { passphrase, recoveryCode };
  const report = await copies.restore(parameters.upload, parameters.sha256, secret, parameters.checkOnly === true);
  const { storeId, isSameStore, credentials, commits, storeCommits, changed, opensByItself, keptPath } = report;
  return {
    storeId: formatUuid(storeId),
    sameStore: isSameStore,
    credentials,
    commits,
    ...(storeCommits !== undefined && { storeCommits }),
    ...(changed !== undefined && { changed }),
    opensByItself,
    ...(keptPath !== undefined && { kept: keptPath }),
  };
};
