import type { Finding } from '../../src/validation.ts';

/**
 * The same findings where the server is not the one that the repository names: it is named by another field, or by none.
 */
export async function* ofServerField<Value>(
  field: string | undefined,
  findings: AsyncGenerator<Finding, Value>,
): AsyncGenerator<Finding, Value> {
  for (;;) {
    const next = await findings.next();
    if (next.done === true) return next.value;
    const { field: told, ...finding } = next.value;
    const named = told === 'backup_repo' ? field : told;
    yield named === undefined ? finding : { ...finding, field: named };
  }
}
