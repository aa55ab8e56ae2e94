import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ratio } from './measurement.ts';
import { exitCodeOf, formatReport, makeReport } from './report.ts';
import type { Report, Results } from './report.ts';

const QUIET = { others: 0.01, stolen: 0 };
const BUSY = { others: 0.3, stolen: 0.1 };
const BUDGET = { kind: 'at most', limit: 2, madeOf: 'the start of Node' } as const;
const NONE: Results = { measurements: [], leftOut: [], failed: [] };

function measured(...values: number[]): Results['measurements'][number] {
  const line = { row: 'get-one', what: 'Get', against: 'an echo server', unit: 'µs', budget: BUDGET } as const;
  return ratio(
    line,
    values,
    values.map(() => 1),
  );
}

function reportOf(results: Partial<Results>, disturbance = QUIET): Report {
  return makeReport({ ...NONE, ...results }, { isQuick: true, seed: 7 }, { seconds: 1, loadBefore: 0.1, disturbance });
}

describe('makeReport()', () => {
  it('says whether each budget is met, and whether the rounds agree on it', () => {
    const { rows } = reportOf({ measurements: [measured(1, 1, 1), measured(3, 3, 3), measured(1, 1.9, 3)] });
    assert.deepEqual(
      rows.map(({ isMet, isDoubtful, isNoisy }) => ({ isMet, isDoubtful, isNoisy })),
      [
        { isMet: true, isDoubtful: false, isNoisy: false },
        { isMet: false, isDoubtful: false, isNoisy: false },
        { isMet: true, isDoubtful: true, isNoisy: true },
      ],
    );
  });

  it('reports that the machine was busy with other work', () => {
    assert.equal(reportOf({}, QUIET).machine.isDisturbed, false);
    assert.equal(reportOf({}, BUSY).machine.isDisturbed, true);
    assert.match(formatReport(reportOf({}, BUSY), undefined), /^NOISY MACHINE: other processes took 30 %/m);
  });
});

describe('formatReport()', () => {
  it('lists what was left out and what failed, each with its reason', () => {
    const text = formatReport(
      reportOf({
        leftOut: [{ row: 'units', what: 'LOAD answers', reason: 'needs root' }],
        failed: [{ row: 'many', error: 'Error: the disk is full' }],
      }),
      undefined,
    );
    assert.match(text, /^not run: units, LOAD answers: needs root$/m);
    assert.match(text, /^FAILED: many: Error: the disk is full$/m);
  });

  it('says for a missed budget what the time is spent on, once for consecutive lines', () => {
    const text = formatReport(reportOf({ measurements: [measured(3), measured(4)] }), undefined);
    assert.match(text, /^missed: get-one, Get: 3\.00 ×, where ≤ 2 × is aimed at$/m);
    assert.equal(text.match(/It is made of: the start of Node\./g)?.length, 1);
  });

  it('fits a terminal of 80 columns, except for sentences', () => {
    const text = formatReport(reportOf({ measurements: [measured(1, 2, 3)] }), 80);
    const [, table = ''] = /\n\n(row [^]*?)\n\n/.exec(text) ?? [];
    assert.ok(table.split('\n').length > 2);
    for (const line of table.split('\n')) assert.ok(line.length <= 80, line);
  });
});

describe('exitCodeOf()', () => {
  const missing = { leftOut: [{ row: 'units', what: 'LOAD answers', reason: 'needs root' }] };

  it('is 0 if something is left out, and 1 if exactly that was asked for', () => {
    const report = reportOf({ measurements: [measured(1)], ...missing });
    assert.equal(exitCodeOf(report, { only: [], isStrict: true }), 0);
    assert.equal(exitCodeOf(report, { only: ['units'], isStrict: false }), 1);
    assert.equal(exitCodeOf(report, { only: ['get-one'], isStrict: false }), 0);
  });

  it('is 1 if a row failed, and for a missed budget if `isStrict`', () => {
    assert.equal(exitCodeOf(reportOf({ failed: [{ row: 'many', error: '' }] }), { only: [], isStrict: false }), 1);
    const missed = reportOf({ measurements: [measured(3)] });
    assert.equal(exitCodeOf(missed, { only: [], isStrict: false }), 0);
    assert.equal(exitCodeOf(missed, { only: [], isStrict: true }), 1);
  });
});
