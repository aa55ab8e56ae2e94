import { environmentOf, type EnvironmentChange } from '../../src/environment.ts';
import { refuseNul, requireProvider, notExpressible, type SetContent } from '../../src/forms/set-content.ts';
import type { Methods } from '../../src/protocol/interface.generated.ts';
import { PROVIDERS } from '../../src/providers/registry.ts';
import type { CredentialClient } from '../client.ts';
import { rethrowForCredential } from './not-found.ts';
import type { Session } from './session.ts';
import { decodeAndWipe } from './decode-text.ts';
import { bytesOf } from './value-output.ts';

type SetCall = Methods['GetSet']['in'] & { readonly owner: number | null };
type SetReply = Methods['GetSet']['out'];

/** A value of a set, as it is stored. */
export interface Member {
  readonly name: string;
  readonly field: string;
  readonly bytes: Uint8Array;
}

/** Returns the values in a reply to `GetSet`. */
export function membersOf({ members }: SetReply, socket: string): readonly Member[] {
  return members.map((member) => ({ name: member.name, field: member.field, bytes: bytesOf(member, socket) }));
}

/**
 * Returns the values in a reply to `GetSet` as text.
 *
 * @throws CredentialError `InvalidValue`
 */
export function contentOf(reply: SetReply, socket: string): SetContent {
  const values = membersOf(reply, socket).map(({ field, bytes }) => {
    const text = decodeAndWipe(bytes);
    if (text === undefined) throw notExpressible(reply.set, field, 'it is not UTF-8 text');
    return [field, text] as const;
  });
  return { set: reply.set, provider: PROVIDERS.get(reply.provider ?? ''), values: new Map(values) };
}

/** Asks the daemon for a set, complete or not. */
export function getAnySet(client: CredentialClient, set: string, owner: number | null): Promise<SetReply> {
  return getSet(client, { set, allowIncomplete: true, owner });
}

/** Reads the values of a set, complete or not. */
export async function readContent(client: CredentialClient, set: string, owner: number | null): Promise<SetContent> {
  return contentOf(await getAnySet(client, set, owner), client.socket);
}

/**
 * Reads a complete set whose values all fit in environment variables, with no NUL to cut them short. The connection is
 * closed when this returns.
 *
 * @throws CredentialError `Incomplete`, `InvalidValue`
 */
export async function readCompleteSet(session: Session, set: string, owner: number | null): Promise<SetContent> {
  return session.withClient(async (client) => {
    const content = contentOf(await getSet(client, { set, owner }), client.socket);
    requireProvider(content);
    refuseNul(content);
    return content;
  });
}

/**
 * Reads the environment variables of a complete set. The connection is closed when this returns.
 *
 * @throws CredentialError `Incomplete`, or `InvalidValue` for a value that no variable can hold
 */
export async function readSetEnvironment(
  session: Session,
  name: string,
  owner: number | null,
): Promise<EnvironmentChange> {
  const content = await readCompleteSet(session, name, owner);
  return environmentOf(content.set, requireProvider(content), content.values);
}

function getSet(client: CredentialClient, call: SetCall): Promise<SetReply> {
  return client.call('GetSet', call).catch((error: unknown) => rethrowForCredential(client, error, call.owner));
}
