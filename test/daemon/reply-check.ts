import assert from 'node:assert/strict';
import type { Reply } from '../../daemon/dispatch.ts';
import { compileInterface } from '../../src/protocol/check.ts';
import type { Check } from '../../src/protocol/check.ts';
import { parseInterface } from '../../src/protocol/idl.ts';
import type { Interface } from '../../src/protocol/idl.ts';
import { INTERFACE_DESCRIPTION } from '../../src/protocol/interface.generated.ts';
import { INTERFACE_DESCRIPTION as SERVICE_DESCRIPTION } from '../../src/protocol/service.generated.ts';

const { replies, errors } = checksOf([INTERFACE_DESCRIPTION, SERVICE_DESCRIPTION].map(parseInterface));

/** Checks a reply against the interface: exactly its fields, each of its type, or one of its errors. */
export function checkReply(method: string, reply: Reply): void {
  const { error, parameters, continues, ...others } = reply;
  assert.deepEqual(Object.keys(others), [], 'a reply has a key that Varlink does not know');
  assert.ok([undefined, true].includes(continues), 'continues is no flag');
  if (error === undefined) {
    assert.equal(replies.get(method)?.(parameters), undefined, `the reply of ${method} is not as the interface says`);
  } else {
    const check = errors.get(error);
    assert.ok(check !== undefined, `the interface has no error ${error}`);
    assert.equal(check(parameters), undefined, `${error} is not as the interface says`);
    assert.equal(continues, undefined, 'an error is the last reply');
  }
}

function checksOf(interfaces: readonly Interface[]): { replies: Map<string, Check>; errors: Map<string, Check> } {
  const replies = new Map<string, Check>();
  const errors = new Map<string, Check>();
  for (const parsed of interfaces) {
    // Output is checked as strictly as input: as the parameters of a call.
    const asCalls = [...parsed.methods].map(([name, method]) => [name, { ...method, input: method.output }] as const);
    const errorsAsCalls = [...parsed.errors].map(
      ([name, { doc, fields }]) => [name, { doc, input: fields, output: fields }] as const,
    );
    for (const [name, { checkCall }] of compileInterface({ ...parsed, methods: new Map(asCalls) }).methods)
      replies.set(`${parsed.name}.${name}`, checkCall);
    for (const [name, { checkCall }] of compileInterface({ ...parsed, methods: new Map(errorsAsCalls) }).methods)
      errors.set(`${parsed.name}.${name}`, checkCall);
  }
  return { replies, errors };
}
