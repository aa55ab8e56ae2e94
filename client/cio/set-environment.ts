import { isUtf8 } from 'node:buffer';
import { environmentOf, type EnvironmentChange } from '../../src/environment.ts';
import { refuseNul, requireProvider, unfit, type SetContent } from '../../src/forms/set-content.ts';
import type { Methods } from '../../src/protocol/interface.generated.ts';
import { PROVIDERS } from '../../src/providers/registry.ts';
import type { CredentialClient } from '../client.ts';
import type { Session } from './session.ts';
import { bytesOf } from './value-output.ts';

type SetReply = Methods['GetSet']['out'];

/** One of a set's values, as it is stored. */
export interface Member {
  readonly name: string;
  readonly field: string;
  readonly bytes: Uint8Array;
}

/** The values of a set's reply. */
export function membersOf({ members }: SetReply, socket: string): readonly Member[] {
  return members.map((member) => ({ name: member.name, field: member.field, bytes: bytesOf(member, socket) }));
}

/**
 * The values of a set's reply as text.
 *
 * @throws CredentialError `InvalidValue`
 */
export function contentOf(reply: SetReply, socket: string): SetContent {
  const values = membersOf(reply, socket).map(({ field, bytes }) => {
    if (!isUtf8(bytes)) throw unfit(reply.set, field, 'it is not UTF-8 text');
    return [field, Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8')] as const;
  });
  return { set: reply.set, provider: PROVIDERS.get(reply.provider ?? ''), values: new Map(values) };
}

/** A set, be it complete or not. */
export async function readContent(client: CredentialClient, set: string, owner: number | null): Promise<SetContent> {
  return contentOf(await client.call('GetSet', { set, allowIncomplete: true, owner }), client.socket);
}

/**
 * A complete set, none of whose values a variable would cut short. The connection is closed when it is there.
 *
 * @throws CredentialError `Incomplete`, `InvalidValue`
 */
export async function readCompleteSet(session: Session, set: string, owner: number | null): Promise<SetContent> {
  return session.withClient(async (client) => {
    const content = contentOf(await client.call('GetSet', { set, owner }), client.socket);
    requireProvider(content);
    refuseNul(content);
    return content;
  });
}

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
  const content = await readCompleteSet(session, name, owner);
  return environmentOf(content.set, requireProvider(content), content.values);
}
