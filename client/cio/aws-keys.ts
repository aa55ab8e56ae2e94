import { CredentialError } from '../../src/errors.ts';
import { awsKeysOf, type AwsKeys } from '../../src/forms/aws.ts';
import type { SetContent } from '../../src/forms/set-content.ts';
import { usesIdentity } from '../../src/sets.ts';
import { CommandError } from './command-error.ts';
import { readContent } from './set-environment.ts';
import type { Session } from './session.ts';

/**
 * Reads the keys that a set has now, over a new connection.
 *
 * @throws CredentialError, ConnectionError; CommandError `NotInForm` for a set without S3 keys
 */
export async function readAwsKeys(session: Session, set: string, owner: number | null): Promise<AwsKeys> {
  return requireAwsKeys(await session.withClient((client) => readContent(client, set, owner)));
}

/** Returns the S3 keys of a set. @throws CredentialError `Incomplete`, CommandError `NotInForm` */
export function requireAwsKeys(content: SetContent): AwsKeys {
  const keys = awsKeysOf(content);
  if (keys !== undefined) return keys;
  const { set, provider, values } = content;
  if (provider === undefined) throw new CredentialError('Incomplete', { set, missing: ['provider'] });
  if (usesIdentity(values.get('use_iam'))) {
    throw new CommandError('NotInForm', `set ${set} has no keys: it uses the machine's own identity`);
  }
  throw new CommandError('NotInForm', `set ${set} (${provider.label}) has no S3 keys`);
}
