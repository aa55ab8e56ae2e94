import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { parseProberMessage } from '../../../daemon/probe/finding.ts';
import { CHECKS, CHECK_STATES, REASONS } from '../../../src/validation.ts';
import type { Finding, Reason } from '../../../src/validation.ts';

const parse = (message: unknown, secrets: readonly string[] = []): unknown =>
  parseProberMessage(Buffer.from(JSON.stringify(message) ?? ''), secrets);

const anyFinding: fc.Arbitrary<Finding> = fc.record(
  {
    check: fc.constantFrom(...CHECKS),
    state: fc.constantFrom(...CHECK_STATES),
    reason: fc.constantFrom(...(Object.keys(REASONS) as Reason[])),
    field: fc.stringMatching(/^[a-z0-9_]{1,64}$/),
    subject: fc.stringMatching(/^[\x20-\x7e]{0,200}$/),
    ms: fc.integer({ min: 0, max: 1_000_000 }),
  },
  { requiredKeys: ['check', 'state'], noNullPrototype: true },
);

describe('parseProberMessage()', () => {
  it('parses every finding, and the end', () => {
    fc.assert(fc.property(anyFinding, (finding) => assert.deepEqual(parse(finding), { kind: 'finding', finding })));
    assert.deepEqual(parse({ done: true }), { kind: 'done' });
  });

  it('rounds durations', () => {
    const finding = { check: 'tls', state: 'passed', ms: 1.6 };
    assert.deepEqual(parse(finding), { kind: 'finding', finding: { ...finding, ms: 2 } });
  });

  const good = { check: 'key', state: 'failed', reason: 'wrong_secret_key', field: 'secret_key', subject: 'host' };
  for (const bad of [
    null,
    7,
    'text',
    [],
    {},
    { done: 1 },
    { ...good, check: 'other' },
    { ...good, check: undefined },
    { ...good, state: 'fine' },
    { ...good, state: null },
    { ...good, reason: 'other' },
    { ...good, reason: 'constructor' },
    { ...good, reason: 7 },
    { ...good, reason: ['wrong_secret_key'] },
    { ...good, field: 'Secret key' },
    { ...good, field: '' },
    { ...good, field: ['secret_key'] },
    { ...good, field: 'x'.repeat(65) },
    { ...good, subject: 'x'.repeat(201) },
    { ...good, subject: 'two\nlines' },
    { ...good, subject: '\u001b[2J' },
    { ...good, subject: 'caf\u00e9' },
    { ...good, subject: {} },
    { ...good, ms: -1 },
    { ...good, ms: '5' },
    { ...good, ms: 1e300 },
  ]) {
    it(`refuses ${JSON.stringify(bad)}`, () => assert.equal(parse(bad), undefined));
  }

  it('accepts values at the bounds', () => {
    const finding = { ...good, field: 'x'.repeat(64), subject: 'x'.repeat(200), ms: 0 };
    assert.deepEqual(parse(finding), { kind: 'finding', finding });
  });

  it('refuses bytes that are not JSON, and drops unknown members', () => {
    assert.equal(parseProberMessage(Buffer.from('{"check":'), []), undefined);
    assert.equal(parseProberMessage(new Uint8Array(), []), undefined);
    assert.deepEqual(parse({ ...good, detail: 'of the server' }), { kind: 'finding', finding: good });
  });

  it('masks a subject that repeats a secret, and keeps the finding', () => {
    const told = (subject: string): unknown => parse({ ...good, subject }, ['another', 'the-secret-key']);
    assert.deepEqual(told('a the-secret-key b'), { kind: 'finding', finding: { ...good, subject: '***' } });
    assert.deepEqual(told('a the-secret b'), { kind: 'finding', finding: { ...good, subject: 'a the-secret b' } });
  });

  it('masks a word of the server that is a part of a secret, such as a token that was cut to length', () => {
    const token = `${'t0'.repeat(100)}==`;
    const told = (reason: Reason, subject: string): unknown => {
      const message = parse({ ...good, reason, subject }, [token]) as { readonly finding: Finding };
      return message.finding.subject;
    };
    for (const reason of ['wrong_region', 'server_error', 'unexpected_answer'] as const) {
      assert.equal(told(reason, token.slice(0, 64)), '***');
      assert.equal(told(reason, token.slice(0, -2)), '***');
      assert.equal(told(reason, token.slice(0, 7)), token.slice(0, 7));
      assert.equal(told(reason, 'eu-central-1'), 'eu-central-1');
    }
    assert.equal(told('name_not_found', token.slice(0, 64)), token.slice(0, 64));
  });
});
