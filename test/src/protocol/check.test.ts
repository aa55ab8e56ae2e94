import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { Check, MethodCheck } from '../../../src/protocol/check.ts';
import { compileInterface } from '../../../src/protocol/check.ts';
import type { Interface, Type } from '../../../src/protocol/idl.ts';
import { parseInterface } from '../../../src/protocol/idl.ts';
import { anyInterface, anyValue, typeNamed } from './arbitraries.ts';

const CREDENTIALS = parseInterface(
  readFileSync(new URL('../../../src/protocol/io.cio.Credentials.varlink', import.meta.url), 'utf8'),
);

function method(name: string): MethodCheck {
  return compileInterface(CREDENTIALS).methods.get(name) ?? assert.fail(`no method ${name}`);
}

/** Returns the checks of a method with one field `a` of this type as input and output. */
function checkOf(type: string): MethodCheck {
  const parsed = parseInterface(`interface a.b\nmethod M(a: ${type}) -> (a: ${type})`);
  return compileInterface(parsed).methods.get('M') ?? assert.fail();
}

/** A value with one defect, and the path of the defect. */
interface Breakage {
  readonly path: string;
  readonly value: unknown;
}

/** Yields every way to break a valid value, at every place in it. */
function* breakagesOf(type: Type, value: unknown, types: Interface['types'], isStrict: boolean): Generator<Breakage> {
  switch (type.kind) {
    case 'simple':
      for (const wrong of WRONG[type.name]) yield { path: '', value: wrong };
      return;
    case 'enum':
      for (const wrong of [0, null, [], `${type.values.join('')}_`]) yield { path: '', value: wrong };
      return;
    case 'named':
      yield* breakagesOf(typeNamed(type.name, types), value, types, isStrict);
      return;
    case 'nullable':
      if (value === null) return;
      for (const broken of breakagesOf(type.of, value, types, isStrict)) if (broken.value !== null) yield broken;
      return;
    case 'array': {
      for (const wrong of [{}, '', null]) yield { path: '', value: wrong };
      const elements = value as unknown[];
      for (const [index, element] of elements.entries()) {
        for (const broken of breakagesOf(type.of, element, types, isStrict)) {
          yield { path: join(`[${index}]`, broken.path), value: elements.with(index, broken.value) };
        }
      }
      return;
    }
    case 'map':
      for (const wrong of [[], '', null, ownPrototype()]) yield { path: '', value: wrong };
      for (const [key, element] of Object.entries(value as object)) {
        for (const broken of breakagesOf(type.of, element, types, isStrict)) {
          yield { path: '', value: { ...(value as object), [key]: broken.value } };
        }
      }
      return;
    case 'struct':
      break;
  }
  const struct = value as Record<string, unknown>;
  for (const wrong of [[], '', null, { ...ownPrototype(), ...struct }]) yield { path: '', value: wrong };
  if (isStrict) yield { path: '', value: { ...struct, unknown_: 1 } };
  for (const field of type.fields) {
    const { [field.name]: found, ...others } = struct;
    const isThere = Object.hasOwn(struct, field.name);
    if (field.type.kind !== 'nullable') yield { path: field.name, value: others };
    if (!isThere) continue;
    for (const broken of breakagesOf(field.type, found, types, isStrict)) {
      yield { path: join(field.name, broken.path), value: { ...struct, [field.name]: broken.value } };
    }
  }
}

const WRONG = {
  bool: [0, 'true', null, []],
  int: [0.5, 2 ** 53, -(2 ** 53), '1', true, null, {}],
  float: ['1', true, null, [], Infinity],
  string: [0, true, null, [], {}, '\ud800', 'a\udc00'],
  object: [0, '', null, [], ownPrototype()],
  any: [null],
} as const;

function ownPrototype(): object {
  return JSON.parse('{"__proto__":{}}') as object;
}

function join(outer: string, inner: string): string {
  return inner === '' || inner.startsWith('[') ? outer + inner : `${outer}.${inner}`;
}

function assertChecks(check: Check, type: Type, parsed: Interface, isStrict: boolean): void {
  fc.assert(
    fc.property(anyValue(type, parsed.types), (value) => assertChecksOne(check, type, value, parsed, isStrict)),
  );
}

function assertChecksOne(check: Check, type: Type, value: unknown, parsed: Interface, isStrict: boolean): void {
  const before = structuredClone(value);
  assert.equal(check(value), undefined);
  assert.deepEqual(value, before);
  for (const broken of breakagesOf(type, value, parsed.types, isStrict)) assert.equal(check(broken.value), broken.path);
}

describe('compileInterface()', () => {
  for (const [name, { input, output }] of CREDENTIALS.methods) {
    it(`accepts the parameters and the reply of ${name}, and names a broken part`, () => {
      assertChecks(method(name).checkCall, input, CREDENTIALS, true);
      assertChecks(method(name).checkReply, output, CREDENTIALS, false);
    });
  }

  it('accepts the fields of every error, and names a broken one', () => {
    const { errors } = compileInterface(CREDENTIALS);
    for (const [name, { fields }] of CREDENTIALS.errors) {
      assertChecks(errors.get(name) ?? assert.fail(name), fields, CREDENTIALS, false);
    }
  });

  it('checks the members of any interface', () => {
    fc.assert(
      fc.property(anyInterface, fc.gen(), (parsed, generate) => {
        const { methods } = compileInterface(parsed);
        for (const [name, { input, output }] of parsed.methods) {
          const { checkCall, checkReply } = methods.get(name) ?? assert.fail(name);
          assertChecksOne(checkCall, input, generate(anyValue, input, parsed.types), parsed, true);
          assertChecksOne(checkReply, output, generate(anyValue, output, parsed.types), parsed, false);
        }
      }),
    );
  });

  it('refuses a recursive type', () => {
    for (const members of [
      'type T (a: ?T)',
      'type T (a: []T)',
      'type T (a: [string](b: T))',
      'type T (a: U)\ntype U (a: ?T)',
    ]) {
      const parsed = parseInterface(`interface a.b\n${members}\nmethod M(a: T) -> ()`);
      assert.throws(() => compileInterface(parsed), { name: 'TypeError', message: 'type T contains itself' });
    }
  });

  it('allows a type to be used many times', () => {
    const parsed = parseInterface('interface a.b\ntype T ()\ntype U (a: T, b: T)\nmethod M(a: U, b: T) -> (a: U)');
    const checkCall = compileInterface(parsed).methods.get('M')?.checkCall;
    assert.equal(checkCall?.({ a: { a: {}, b: {} }, b: {} }), undefined);
    assert.equal(checkCall?.({ a: { a: {}, b: {} }, b: { c: 1 } }), 'b');
  });
});

describe('checkCall()', () => {
  it('accepts a nullable field as null or absent', () => {
    const { checkCall } = method('Get');
    assert.equal(checkCall({ name: 'a' }), undefined);
    assert.equal(checkCall({ name: 'a', version: null, owner: null }), undefined);
    assert.equal(checkCall({ name: 'a', version: 1, owner: 0 }), undefined);
  });

  it('refuses a required field that is null or absent', () => {
    const { checkCall } = method('Get');
    assert.equal(checkCall({}), 'name');
    assert.equal(checkCall({ name: null }), 'name');
    assert.equal(checkCall({ version: 1 }), 'name');
  });

  it('names the place in nested parameters by fields and indices', () => {
    const { checkCall } = method('Create');
    const good = { name: 'a', value: 'b' };
    assert.equal(checkCall({ credentials: {} }), 'credentials');
    assert.equal(checkCall({ credentials: [good, 1] }), 'credentials[1]');
    assert.equal(checkCall({ credentials: [good, good, good, { name: 1 }] }), 'credentials[3].name');
    assert.equal(checkCall({ credentials: [good, { ...good, size: 1 }] }), 'credentials[1]');
    assert.equal(checkOf('[][]int').checkCall({ a: [[1], [1, 'x']] }), 'a[1][1]');
  });

  it('reports an unknown field at the path of its struct', () => {
    assert.equal(method('Get').checkCall({ name: 'a', nmae: 'b' }), '');
    assert.equal(method('Lock').checkCall({ now: true }), '');
    assert.equal(checkOf('(b: (c: int))').checkCall({ a: { b: { c: 1, d: 1 } } }), 'a.b');
  });

  it('reports an unknown field even if a nullable one is absent', () => {
    assert.equal(method('Get').checkCall({ name: 'a', verison: 1, onwer: 1 }), '');
  });

  it('refuses anything but an object', () => {
    for (const value of [undefined, null, [], [1], '', 'name', 0, true]) {
      assert.equal(method('Get').checkCall(value), '');
      assert.equal(method('Lock').checkCall(value), '');
    }
  });

  it('treats __proto__ as an unknown field', () => {
    const { checkCall } = method('Get');
    assert.equal(checkCall(JSON.parse('{"name":"a","__proto__":{"version":1}}')), '');
    assert.equal(checkCall(JSON.parse('{"__proto__":{"name":"a"}}')), 'name');
    const { checkCall: checkCreate } = method('Create');
    assert.equal(checkCreate(JSON.parse('{"credentials":[{"name":"a","__proto__":null}]}')), 'credentials[0]');
  });

  it('does not take inherited properties for fields', () => {
    for (const name of ['constructor', 'toString', 'valueOf', 'hasOwnProperty', 'isPrototypeOf']) {
      assert.equal(method('Get').checkCall({ name: 'a', [name]: 1 }), '');
      const parsed = parseInterface(`interface a.b\nmethod M(${name}: any) -> ()\nmethod N(${name}: ?any) -> ()`);
      const { methods } = compileInterface(parsed);
      assert.equal(methods.get('M')?.checkCall({}), name);
      assert.equal(methods.get('M')?.checkCall({ [name]: 1 }), undefined);
      assert.equal(methods.get('N')?.checkCall({}), undefined);
      assert.equal(methods.get('N')?.checkCall({ [name]: 1 }), undefined);
    }
  });

  it('accepts any key of a map except __proto__, and names none of them', () => {
    const { checkCall } = checkOf('[string]int');
    assert.equal(checkCall({ a: { constructor: 1, '': 2 } }), undefined);
    assert.equal(checkCall({ a: { secret: 'x' } }), 'a');
    assert.equal(checkCall(JSON.parse('{"a":{"__proto__":1}}')), 'a');
  });

  it('accepts exactly the safe integers', () => {
    const { checkCall } = checkOf('int');
    for (const value of [0, -1, 1.0, 2 ** 53 - 1, -(2 ** 53 - 1)]) assert.equal(checkCall({ a: value }), undefined);
    for (const text of ['9007199254740992', '1e999', '0.1', '"1"', 'true', '[]']) {
      assert.equal(checkCall(JSON.parse(`{"a":${text}}`)), 'a', text);
    }
  });

  it('accepts the words of an enum, and nothing that converts to one', () => {
    const { checkCall } = checkOf('(one, two)');
    assert.equal(checkCall({ a: 'two' }), undefined);
    for (const value of ['three', 'ONE', '', ['one'], 0, null]) assert.equal(checkCall({ a: value }), 'a');
  });

  it('refuses a string with a lone surrogate, which UTF-8 could not store', () => {
    const { checkCall } = checkOf('string');
    assert.equal(checkCall(JSON.parse('{"a":"\\ud83d\\ude00\\u0000"}')), undefined);
    assert.equal(checkCall(JSON.parse('{"a":"\\ud83d"}')), 'a');
  });

  it('never repeats a part of the input', () => {
    const names = new Set(['credentials', 'name', 'value', 'data', 'replace', 'ifGeneration', 'owner']);
    const { checkCall } = method('Create');
    fc.assert(
      fc.property(
        fc.oneof(fc.jsonValue(), fc.record({ credentials: fc.jsonValue(), owner: fc.jsonValue() })),
        (value) => {
          const words = checkCall(value)?.split(/\.|(?=\[)/) ?? [];
          for (const word of words) assert.ok(word === '' || names.has(word) || /^\[\d+\]$/.test(word));
        },
      ),
    );
  });
});

describe('checkReply()', () => {
  it('ignores unknown fields at any depth', () => {
    const { checkReply } = method('Create');
    const saved = { name: 'a', version: 1, created: true, since: 'later' };
    assert.equal(checkReply({ generation: 1, saved: [saved], more: { of: ['it'] } }), undefined);
    assert.equal(checkReply({ generation: 1, saved: [{ ...saved, version: '1' }], more: 1 }), 'saved[0].version');
  });

  it('refuses __proto__ nevertheless', () => {
    const { checkReply } = method('Fsck');
    assert.equal(checkReply(JSON.parse('{"records":1,"problems":[],"repaired":true,"__proto__":{}}')), '');
    assert.equal(checkReply(JSON.parse('{"records":1,"problems":[{"__proto__":1}],"repaired":true}')), 'problems[0]');
  });

  it('allows added fields in an empty reply', () => {
    assert.equal(method('Lock').checkReply({}), undefined);
    assert.equal(method('Lock').checkReply({ since: 1 }), undefined);
    assert.equal(method('Lock').checkReply([]), '');
  });
});
