import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { CONFIG_BYTES_MAX, openConfig } from '../../../../daemon/prober/restic/config.ts';
import { randomKey, seal } from './reference.ts';
import { watchWipes } from './wiped.ts';

const ID = '0123456789abcdef'.repeat(4);
const CONFIG = { version: 2, id: ID, chunker_polynomial: '3dea92648f6e83' };
const REFUSED = { reason: 'not_a_repository', subject: 'config' };
const master = randomKey();

const opened = (object: unknown): unknown => openConfig(master, seal(master, Buffer.from(JSON.stringify(object))));

describe('openConfig()', () => {
  it('accepts versions 1 and 2', () => {
    assert.deepEqual(opened(CONFIG), { version: 2, id: ID });
    assert.deepEqual(opened({ ...CONFIG, version: 1, other: true }), { version: 1, id: ID });
  });

  const refused: readonly (readonly [what: string, object: unknown])[] = [
    ['version 0', { ...CONFIG, version: 0 }],
    ['version 3', { ...CONFIG, version: 3 }],
    ['a version as text', { ...CONFIG, version: '2' }],
    ['no version', { ...CONFIG, version: undefined }],
    ['an id that is too short', { ...CONFIG, id: ID.slice(1) }],
    ['an id that is too long', { ...CONFIG, id: `${ID}0` }],
    ['an id after another character', { ...CONFIG, id: `x${ID}` }],
    ['an id that is not hex', { ...CONFIG, id: 'x'.repeat(64) }],
    ['an id as a number', { ...CONFIG, id: 1 }],
    ['an id in an array', { ...CONFIG, id: [ID] }],
    ['no polynomial', { ...CONFIG, chunker_polynomial: undefined }],
    ['an empty polynomial', { ...CONFIG, chunker_polynomial: '' }],
    ['a polynomial of more than 64 bits', { ...CONFIG, chunker_polynomial: '1'.repeat(17) }],
    ['a polynomial as a number', { ...CONFIG, chunker_polynomial: 12 }],
    ['null', null],
    ['an array', [CONFIG]],
  ];
  for (const [what, object] of refused) it(`refuses ${what}`, () => assert.deepEqual(opened(object), REFUSED));

  it('wipes the opened text, whatever it contains', (t) => {
    const wiped = watchWipes(t);
    for (const object of [CONFIG, { ...CONFIG, version: 3 }, 'no object']) {
      opened(object);
      assert.ok(wiped.has(Buffer.from(JSON.stringify(object))));
    }
  });

  it('refuses a config that is sealed with another key, or has a changed byte', () => {
    const sealed = seal(master, Buffer.from(JSON.stringify(CONFIG)));
    assert.deepEqual(openConfig(randomKey(), sealed), REFUSED);
    fc.assert(
      fc.property(fc.nat(sealed.length - 1), fc.integer({ min: 1, max: 255 }), (index, mask) => {
        const mutated = Uint8Array.from(sealed);
        mutated[index] = (mutated[index] ?? 0) ^ mask;
        assert.deepEqual(openConfig(master, mutated), REFUSED);
      }),
    );
  });

  it('refuses a config that is too short or too long, and never throws', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => assert.deepEqual(openConfig(master, bytes), REFUSED)),
    );
    const padded = (length: number): Uint8Array => Buffer.from(JSON.stringify(CONFIG).padEnd(length - 32));
    assert.deepEqual(openConfig(master, seal(master, padded(CONFIG_BYTES_MAX))), { version: 2, id: ID });
    assert.deepEqual(openConfig(master, seal(master, padded(CONFIG_BYTES_MAX + 1))), REFUSED);
  });
});
