import type { SavedCredential } from '../../../src/protocol/interface.generated.ts';
import { encodeText } from '../../value.ts';
import type { Session } from '../session.ts';

/** Values to store, by credential name, and the generation at which they were read. */
export interface Changes {
  readonly values: ReadonlyMap<string, string>;
  readonly generation: number;
  readonly owner: number | null;
}

/** Stores the changes. @throws CredentialError `Conflict` if something was changed since that generation */
export async function storeChanges(session: Session, { values, generation, owner }: Changes): Promise<void> {
  const credentials = [...values].map(([name, text]) => ({ name, ...encodeText(text) }));
  const reply = await session.withClient((client) =>
    client.call('Create', { credentials, replace: true, ifGeneration: generation, owner }),
  );
  if (session.isJson) session.printDocument(reply);
  else for (const saved of reply.saved) session.succeed(reply, 'Edit credential', tell(saved));
}

function tell({ name, version, created }: SavedCredential): string {
  return `Credential ${name} ${created ? 'saved' : `replaced, now version ${version}`}`;
}

/** Reports that nothing was changed. Returns the exit code. */
export function reportUnchanged(session: Session): number {
  if (session.isJson) session.printDocument({ saved: [] });
  else session.note('Edit cancelled, no changes made.');
  return 0;
}
