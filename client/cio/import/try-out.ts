import type { Finding } from '../../../src/protocol/interface.generated.ts';
import type { Session } from '../session.ts';
import { VALIDATION_TIMEOUT_MS } from '../timeouts.ts';
import { formatResult } from '../validation-report.ts';
import type { ImportPreview } from './preview.ts';

/** Validates the complete sets without writing to their servers, and returns the findings by set. */
export async function tryOut(
  session: Session,
  { sets }: ImportPreview,
  owner: number | null,
): Promise<ReadonlyMap<string, readonly Finding[]>> {
  const found = new Map<string, readonly Finding[]>();
  for (const { set, ready } of sets) {
    if (!ready) continue;
    const call = { target: set, owner, restoreOnly: true };
    using progress = session.progress(`Trying ${set}`);
    const { findings, failed } = await session.withClient(
      (client) => client.call('Validate', call),
      VALIDATION_TIMEOUT_MS,
    );
    progress.clear();
    found.set(set, findings);
    const result = formatResult(set, findings);
    if (failed) session.fail('Validate credential', result);
    else if (!session.isJson) session.note(result);
  }
  return found;
}
