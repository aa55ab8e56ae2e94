import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isTemplate, isUnitName, templateOf } from '../../src/units.ts';

describe('templateOf()', () => {
  const units: Record<string, string | undefined> = {
    'restic@home.service': 'restic@.service',
    'restic@a.b.service': 'restic@.service',
    'restic@a\\x2db.service': 'restic@.service',
    'restic@.service': undefined,
    'restic.service': undefined,
    '@home.service': undefined,
    '@a@b.service': undefined,
    'restic@home.service2': undefined,
    'restic@home': undefined,
    'a@b@c.service': 'a@.service',
    '': undefined,
  };
  for (const [unit, template] of Object.entries(units)) {
    it(`returns ${template ?? 'none'} for ${JSON.stringify(unit)}`, () => assert.equal(templateOf(unit), template));
  }
});

describe('isTemplate()', () => {
  it('recognises templates, and neither instances nor plain units', () => {
    assert.ok(isTemplate('restic@.service'));
    const others = ['restic@home.service', 'restic.service', '@.service', '', 'a@b@.service', 'restic@.b.service'];
    for (const unit of others) assert.ok(!isTemplate(unit), unit);
  });
});

describe('isUnitName()', () => {
  const good = [
    'a.service',
    'restic@.service',
    'restic@home.service',
    'a@b@c.service',
    'a:b_c-d.mount',
    'A\\x20b.scope',
    'a.socket',
    'a.swap',
  ];
  const bad = [
    '',
    '.service',
    'a',
    'a.slice',
    'a.timer',
    'a.target',
    'a.servicex',
    'a.service\n',
    ' a.service',
    'a b.service',
    'a/b.service',
    '../a.service',
    '@a.service',
    '$(x).service',
    'ä.service',
    `${'a'.repeat(248)}.service`,
  ];
  for (const name of good) it(`accepts ${name}`, () => assert.ok(isUnitName(name)));
  for (const name of bad) it(`refuses ${JSON.stringify(name.slice(0, 40))}`, () => assert.ok(!isUnitName(name)));

  it('accepts the longest name that systemd allows', () => assert.ok(isUnitName(`${'a'.repeat(247)}.service`)));
});
