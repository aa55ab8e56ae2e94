import type { CheckId, Finding } from '../../src/validation.ts';

/** A second way to a server says nothing while all goes well; where it breaks, that is the failure of one check. */
export async function* asFailureOf<Value>(
  check: CheckId,
  findings: AsyncGenerator<Finding, Value>,
): AsyncGenerator<Finding, Value> {
  for (;;) {
    const next = await findings.next();
    if (next.done === true) return next.value;
    if (next.value.state === 'failed') yield { ...next.value, check };
  }
}
