import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { expandSpecifiers } from '../../../../client/cio/doctor/specifiers.ts';
import { environmentNames, parseUnitFile } from '../../../../client/cio/doctor/unit-file.ts';
import { anyText } from '../../../src/any-text.ts';

describe('parseUnitFile()', () => {
  it('reads sections, comments and continued lines as systemd does', () => {
    const text = `# LoadCredential=a:b
[Unit]
Description = x=y
[Service]
; Environment=A=1
LoadCredential=one:/run/x \\
# in between
  two
Environment=
nonsense
=nothing
[Install]\r
WantedBy=x\r
`;
    assert.deepEqual(parseUnitFile(text), [
      { section: 'Unit', key: 'Description', value: 'x=y' },
      { section: 'Service', key: 'LoadCredential', value: 'one:/run/x  two' },
      { section: 'Service', key: 'Environment', value: '' },
      { section: 'Install', key: 'WantedBy', value: 'x' },
    ]);
  });

  it('accepts a continuation mark at the end of the file', () => {
    assert.deepEqual(parseUnitFile('[Service]\nA=b\\'), [{ section: 'Service', key: 'A', value: 'b' }]);
  });

  it('recognises a section header only if it fills the line', () => {
    assert.deepEqual(parseUnitFile('[A]\nx=[B]\n[C] y\nz=1'), [
      { section: 'A', key: 'x', value: '[B]' },
      { section: 'A', key: 'z', value: '1' },
    ]);
  });

  it('never puts a newline into a key or value, for any text', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        for (const { section, key, value } of parseUnitFile(`${text}\n[S]\nK=v`)) {
          assert.match(key, /^[^=\n]+$/);
          assert.ok(![section, value].join('').includes('\n'));
        }
      }),
    );
  });

  it('reads back the assignments of a generated file', () => {
    const word = fc.stringMatching(/^[A-Za-z][A-Za-z0-9.:]{0,9}$/);
    const assignment = fc.record({ section: word, key: word, value: word });
    fc.assert(
      fc.property(fc.array(assignment), (assignments) => {
        const text = assignments.map(({ section, key, value }) => `[${section}]\n${key}=${value}\n`).join('');
        assert.deepEqual(
          parseUnitFile(text),
          assignments.map((each) => ({ ...each })),
        );
      }),
    );
  });
});

describe('environmentNames()', () => {
  for (const [value, expected] of [
    ['A=1 B=2', ['A', 'B']],
    [`"A=with a blank" 'B=x y' C=z`, ['A', 'B', 'C']],
    ['"A=\\"q\\" B=1" C=2', ['A', 'C']],
    ['A= =x x', []],
    ['', []],
  ] as const) {
    it(`reads ${value}`, () => assert.deepEqual(environmentNames(value), expected));
  }
});

describe('expandSpecifiers()', () => {
  for (const [text, unit, expected] of [
    ['plain', 'r.service', 'plain'],
    ['%n %N %p %i|%I 100%%', 'a-r.service', 'a-r.service a-r a-r | 100%'],
    ['%n %N %p %i %j', 'a-r@home.service', 'a-r@home.service a-r@home a-r home r'],
    ['%I', String.raw`r@srv-a\x2db.service`, 'srv/a-b'],
    ['%t/x', 'r.service', '/run/x'],
    ['%p', 'r@.service', 'r'],
    ['%j', 'r.service', 'r'],
    ['%p', 'r.x.service', 'r.x'],
    ['%N', 'r@a.b.service', 'r@a.b'],
    ['%I', 'r@.service', undefined],
    ['%i', 'r@.service', undefined],
    ['%n', 'r@.service', undefined],
    ['%H', 'r.service', undefined],
    ['%', 'r.service', undefined],
    ['%I', String.raw`r@\q.service`, undefined],
  ] as const) {
    it(`makes ${expected} of ${text} in ${unit}`, () => assert.equal(expandSpecifiers(text, unit, '/run'), expected));
  }
});
