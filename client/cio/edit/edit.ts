import { CredentialError } from '../../../src/errors.ts';
import { canonicalName } from '../../../src/names.ts';
import type { Session } from '../session.ts';
import { editCredential } from './edit-credential.ts';
import { editSet } from './edit-set.ts';

/** Lets the user edit the credential or set that `target` names. Returns the exit code. */
export async function edit(session: Session, target: string, owner: number | null): Promise<number> {
  const { credentials, sets } = await session.withClient((client) =>
    client.call('List', { patterns: [target], owner }),
  );
  const name = canonicalName(target);
  if (credentials.some((credential) => credential.name === name)) return editCredential(session, name, owner);
  const isSet = sets.some(({ set, uuid }) => set === target || uuid === target.toLowerCase()) || sets.length === 1;
  if (isSet && !/[*?]/.test(target)) return editSet(session, target, owner);
  throw new CredentialError('NotFound', { name: target });
}
