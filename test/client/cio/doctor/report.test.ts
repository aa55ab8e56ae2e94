import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { judge } from '../../../../client/cio/doctor/diagnose.ts';
import { formatReport } from '../../../../client/cio/doctor/report.ts';
import { Notes, stateOf, type CheckResult } from '../../../../client/cio/doctor/verdict.ts';
import { answering, SILENT, WELL } from './host.ts';

const CHECKS: readonly CheckResult[] = [
  { id: 'a', title: 'A', state: 'ok', findings: [{ severity: 'hint', what: 'old', why: 'so it is' }] },
  { id: 'b', title: 'B', state: 'skipped', findings: [], reason: 'for root' },
  {
    id: 'c',
    title: 'C',
    state: 'error',
    findings: [{ severity: 'error', what: 'bad\u001b[2J', why: 'it is', fix: 'make it good' }],
    reason: 'the rest is hidden',
  },
];

describe('formatReport()', () => {
  it('prints marks, findings, commands on lines of their own, and a summary', () => {
    assert.equal(
      formatReport(CHECKS, false),
      `✔ A
  · old
    so it is
– B: not checked: for root
✖ C
  ✖ bad\\u{1b}[2J
    it is
    fix: make it good
  – not checked: the rest is hidden

1 of 3 checks passed, 1 found an error, 1 could not check everything, 1 hint.
`,
    );
  });

  it('counts only the states that occur', () => {
    const summary = (...states: readonly CheckResult['state'][]): string => {
      const findings = states.map(() => ({ severity: 'hint', what: 'x', why: 'y' }) as const);
      const checks = states.map((state) => ({ id: 'a', title: 'A', state, findings: state === 'ok' ? [] : findings }));
      return formatReport(checks, false).split('\n').at(-2) ?? '';
    };
    assert.equal(summary('ok'), '1 of 1 checks passed.');
    assert.equal(summary('ok', 'warning'), '1 of 2 checks passed, 1 gave a warning, 2 hints.');
    assert.equal(summary('skipped'), '0 of 1 checks passed, 1 could not check everything, 1 hint.');
    const warning: CheckResult = { id: 'w', title: 'W', state: 'warning', findings: [] };
    assert.match(formatReport([warning], true), /^\u001b\[33m!\u001b\[0m W$/m);
  });

  it('colours only the marks', () => {
    const coloured = formatReport(CHECKS, true);
    assert.match(coloured, /^\u001b\[32m✔\u001b\[0m A$/m);
    assert.equal(coloured.replaceAll(/\u001b\[\d+m/g, ''), formatReport(CHECKS, false));
  });
});

describe('judge()', () => {
  it('finds nothing on a healthy host', () => {
    assert.deepEqual(
      judge(WELL).filter(
        ({ state, findings, reason }) => state !== 'ok' || findings.length > 0 || reason !== undefined,
      ),
      [],
    );
  });

  it('runs every check where the daemon does not answer', () => {
    const states = Object.fromEntries(judge(SILENT).map(({ id, state }) => [id, state]));
    assert.equal(states['daemon'], 'error');
    assert.deepEqual([states['clock'], states['systemd'], states['plain-secrets']], ['ok', 'ok', 'ok']);
    assert.deepEqual([states['store'], states['slots'], states['hardening']], ['skipped', 'skipped', 'skipped']);
    assert.equal(judge(answering({ locked: true }))[0]?.state, 'error');
  });
});

describe('Notes', () => {
  it('keep each reason once, and the repair command of a finding where there is one', () => {
    const notes = new Notes();
    for (const reason of ['a', 'b', 'a']) notes.skip(reason);
    notes.error('what', 'why');
    notes.hint('what', 'why', 'fix');
    assert.deepEqual(
      [notes.unseen, notes.findings.map((finding) => Object.keys(finding).length)],
      [
        ['a', 'b'],
        [3, 4],
      ],
    );
  });
});

describe('stateOf()', () => {
  const finding = { what: 'x', why: 'y' };
  for (const [severities, unseen, state] of [
    [[], [], 'ok'],
    [['hint'], [], 'ok'],
    [['hint'], ['r'], 'skipped'],
    [['warning', 'hint'], ['r'], 'warning'],
    [['warning', 'error'], [], 'error'],
  ] as const) {
    it(`is ${state} for ${severities.join()} and ${unseen.length} unseen`, () => {
      const findings = severities.map((severity) => ({ ...finding, severity }));
      assert.equal(stateOf({ findings, unseen }), state);
    });
  }
});
