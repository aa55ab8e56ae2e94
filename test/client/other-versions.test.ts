import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { isAddedField } from '../../client/added-fields.ts';
import { parseReply, readReply, type MethodName } from '../../client/reply.ts';
import { isCredentialError } from '../../src/errors.ts';
import { parseInterface, type Interface, type StructType, type Type } from '../../src/protocol/idl.ts';
import { INTERFACE_DESCRIPTION, type ListOut } from '../../src/protocol/interface.generated.ts';

const OLDER = path.join(import.meta.dirname, '..', 'fixtures', 'daemon-of-before-validate');

interface Recorded {
  readonly method: MethodName;
  readonly parameters: object;
  readonly error?: string;
}

const RECORDED = JSON.parse(readFileSync(path.join(OLDER, 'replies.json'), 'utf8')) as readonly Recorded[];

function read<Name extends MethodName>(name: Name, message: object): ReturnType<typeof readReply<Name>> {
  const reply = parseReply(Buffer.from(JSON.stringify(message)));
  return readReply(name, reply ?? assert.fail('no reply'), '/socket');
}

describe('readReply() with an older daemon', () => {
  for (const [index, { method, ...message }] of RECORDED.entries()) {
    it(`accepts its reply to ${method} (${index})`, () => {
      if (message.error === undefined) read(method, message);
      else
        assert.throws(
          () => read(method, message),
          (error) => isCredentialError(error, 'NotFound'),
        );
    });
  }

  it('fills in the fields that such a daemon does not send', () => {
    const { parameters } = RECORDED.find(({ method }) => method === 'List') ?? assert.fail();
    assert.ok((parameters as ListOut).sets.every((set) => !('health' in set)));
    const { sets, credentials } = read('List', { parameters });
    assert.deepEqual(
      sets.map(({ set, ready, health }) => [set, ready, health]),
      [
        ['aws', true, { state: 'unproved' }],
        ['aws_alt', false, { state: 'unproved' }],
      ],
    );
    assert.deepEqual(credentials, (parameters as ListOut).credentials);
  });

  it('accepts no other missing field, and nothing malformed in their place', () => {
    const { parameters } = RECORDED.find(({ method }) => method === 'List') ?? assert.fail();
    const { sets, ...rest } = parameters as ListOut;
    for (const wrong of [
      { sets: sets.map((set) => ({ ...set, ready: undefined })) },
      { sets: sets.map((set) => ({ ...set, health: 'passed' })) },
      { sets: sets.map((set) => ({ ...set, health: { state: 'perfect' } })) },
      { sets: [null] },
      { sets: null },
    ]) {
      assert.throws(() => read('List', { parameters: { ...rest, ...wrong } }), { reason: 'bad_reply' });
    }
  });
});

describe('readReply() with a newer daemon', () => {
  it('accepts unknown fields and unknown words', () => {
    const finding = { check: 'retention', state: 'failed', reason: 'too_short', since: 3 };
    const reply = { set: 'aws', owner: 0, findings: [finding], failed: true, cost: { eur: 1 } };
    assert.deepEqual(read('Validate', { parameters: reply, trace: 'x' }), reply);
    const slot = { id: 'a', kind: 'fido2', created: 1, touched: 2 };
    assert.deepEqual(read('ListSlots', { parameters: { slots: [slot] } }).slots, [slot]);
  });

  it('names an unknown error', () => {
    const message = { error: 'io.cio.Credentials.QuotaExceeded', parameters: { limit: 3 } };
    assert.throws(() => read('Get', message), { reason: 'rejected', detail: 'QuotaExceeded' });
  });
});

describe('io.cio.Credentials, compared with an older version', () => {
  const then = parseInterface(readFileSync(path.join(OLDER, 'io.cio.Credentials.varlink'), 'utf8'));
  const now = parseInterface(INTERFACE_DESCRIPTION);

  for (const [name, { input, output }] of then.methods) {
    const method = now.methods.get(name);
    it(`${name} still accepts the same parameters, and returns the same fields`, () => {
      assert.ok(method !== undefined);
      assertExtends(method.input, now, input, then, () => false);
      assertExtends(method.output, now, output, then, isAddedField);
    });
  }

  for (const [name, { fields }] of then.errors) {
    it(`${name} still has the same fields`, () => {
      assertExtends(now.errors.get(name)?.fields ?? assert.fail(), now, fields, then, () => false);
    });
  }
});

/**
 * Asserts that a type still accepts and has what it did before.
 *
 * @param mayBeLeftOut whether a field that is not nullable was added later
 */
function assertExtends(
  type: Type,
  now: Interface,
  before: Type,
  then: Interface,
  mayBeLeftOut: (type: string, field: string) => boolean,
  name = '',
): void {
  if (before.kind === 'named') {
    const [newType, oldType] = [
      type.kind === 'named' ? now.types.get(type.name)?.type : type,
      then.types.get(before.name)?.type,
    ];
    return assertExtends(newType ?? assert.fail(), now, oldType ?? assert.fail(), then, mayBeLeftOut, before.name);
  }
  // An enum may become a string, which still admits its words.
  if (before.kind === 'enum' && type.kind === 'simple' && type.name === 'string') return;
  assert.equal(type.kind, before.kind, name);
  if (before.kind === 'enum') assert.deepEqual(type, before, `${name}: an enum gets no more words`);
  if (before.kind === 'simple') assert.deepEqual(type, before, name);
  if ((before.kind === 'nullable' || before.kind === 'array' || before.kind === 'map') && 'of' in type) {
    assertExtends(type.of, now, before.of, then, mayBeLeftOut, name);
  }
  if (before.kind === 'struct' && type.kind === 'struct') assertFields(type, before);

  function assertFields(type: StructType, before: StructType): void {
    for (const field of before.fields) {
      const same = type.fields.find((one) => one.name === field.name);
      assertExtends(
        same?.type ?? assert.fail(field.name),
        now,
        field.type,
        then,
        mayBeLeftOut,
        `${name}.${field.name}`,
      );
    }
    for (const field of type.fields) {
      const isNew = before.fields.every((one) => one.name !== field.name);
      if (isNew && field.type.kind !== 'nullable')
        assert.ok(mayBeLeftOut(name, field.name), `${name}.${field.name} came later, and is not nullable`);
    }
  }
}
