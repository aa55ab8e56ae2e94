import { isUtf8 } from 'node:buffer';
import { environmentOf, type EnvironmentChange } from '../../src/environment.ts';
import { CredentialError } from '../../src/errors.ts';
import type { SetMember } from '../../src/protocol/interface.generated.ts';
import { PROVIDERS } from '../../src/providers/registry.ts';
import type { Session } from './session.ts';
import { bytesOf } from './value-output.ts';

/**
 * The variables of a complete set. The connection is closed when they are there.
 *
 * @throws CredentialError `Incomplete`, or `InvalidValue` for a value that no variable can hold
 */
export async function readSetEnvironment(
  session: Session,
  name: string,
  owner: number | null,
): Promise<EnvironmentChange> {
  return session.withClient(async (client) => {
    const { set, provider, members } = await client.call('GetSet', { set: name, owner });
    const known = PROVIDERS.get(provider ?? '');
    if (known === undefined) throw new CredentialError('Incomplete', { set, missing: ['provider'] });
    return environmentOf(set, known, new Map(members.map((member) => [member.field, textOf(member, client.socket)])));
  });
}

function textOf(member: SetMember, socket: string): string {
  const bytes = Buffer.from(bytesOf(member, socket));
  const reason = !isUtf8(bytes) ? 'it is not UTF-8 text' : bytes.includes(0) ? 'it has a NUL byte' : undefined;
  if (reason === undefined) return bytes.toString('utf8');
  throw new CredentialError('InvalidValue', { name: member.name, reason: `${reason}, and no variable can hold it` });
}
