import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseReloadUnits } from '../../src/reload-units.ts';

describe('parseReloadUnits()', () => {
  it('reads units separated by commas or white space, each once', () => {
    assert.deepEqual(parseReloadUnits('restic.service'), ['restic.service']);
    assert.deepEqual(parseReloadUnits(' a.service, b@home-1.service\nsrv-data.mount  a.service,c.socket\n'), [
      'a.service',
      'b@home-1.service',
      'srv-data.mount',
      'c.socket',
    ]);
    assert.equal(
      (parseReloadUnits(Array.from({ length: 16 }, (_, i) => `u${i}.service`).join()) as string[]).length,
      16,
    );
  });

  for (const text of [
    '',
    ' , ',
    'restic',
    'restic@.service',
    'multi-user.target',
    'a.timer',
    '--force.service',
    '-.mount',
    '../a.service',
    'a/b.service',
    'a.service;reboot',
    'a.service$(id)',
    'ä.service',
    '\u0000.service',
    `${'x'.repeat(250)}.service`,
    Array.from({ length: 17 }, (_, i) => `u${i}.service`).join(),
  ]) {
    it(`refuses ${JSON.stringify(text.slice(0, 40))}, without repeating any of it`, () => {
      const parsed = parseReloadUnits(text);
      assert.ok('reason' in parsed);
      assert.match(
        parsed.reason,
        /^(?:it names no unit|it names more than 16 units|word \d+ is not a unit; it should look like .*)$/,
      );
    });
  }
});
