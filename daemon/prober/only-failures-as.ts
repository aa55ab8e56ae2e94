import type { CheckId, Finding } from '../../src/validation.ts';

/** Reports a further connection as part of one check: only failures are passed on, as failures of `check`. */
export async function* onlyFailuresAs<Value>(
  check: CheckId,
  findings: AsyncGenerator<Finding, Value>,
): AsyncGenerator<Finding, Value> {
  for (;;) {
    const next = await findings.next();
    if (next.done === true) return next.value;
    if (next.value.state === 'failed') yield { ...next.value, check };
  }
}
