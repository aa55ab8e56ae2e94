import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { exitCodeOf, formatReport, makeReport } from './report.ts';
import type { Result } from './report.ts';
import { leftOut } from './scenario.ts';

const QUIET = { others: 0, stolen: 0 };
const OPTIONS = { isShort: true, seed: 7 };
const KEPT = { what: 'it survives', count: 3, unit: 'kills', detail: 'nothing lost', broken: [] };
const BROKEN = { ...KEPT, broken: ['a value is gone'] };
const LEFT_OUT = leftOut('it is mounted', 'needs root');

function resultOf(outcomes: Result['outcomes'], more: Partial<Result> = {}): Result {
  return { scenario: 'pressure', seconds: 1, outcomes, ...more };
}

describe('formatReport()', () => {
  it('does not report a promise as kept that was not tested', () => {
    const results = [resultOf([KEPT, LEFT_OUT]), { ...resultOf([]), scenario: 'model', unavailable: 'needs root' }];
    const text = formatReport(makeReport(results, OPTIONS, QUIET), undefined);
    assert.match(text, /^pressure +it survives +3 kills +1 s +kept +nothing lost$/m);
    assert.match(text, /^pressure +it is mounted +NOT RUN +needs root$/m);
    assert.match(text, /^model +all of it +NOT RUN +needs root$/m);
    assert.match(text, /^1 promises kept, 0 broken; not run: 2/m);
  });

  it('distinguishes promises kept in part from those kept', () => {
    const partly = '25 clients instead of 100, for ulimit -Hn';
    const report = makeReport(
      [
        resultOf([
          { ...KEPT, partly },
          { ...BROKEN, partly },
        ]),
      ],
      OPTIONS,
      QUIET,
    );
    const text = formatReport(report, undefined);
    assert.match(text, /^pressure .* kept in part +in part: 25 clients instead of 100, for ulimit -Hn; nothing lost$/m);
    assert.match(text, /^pressure .* BROKEN +in part: 25 clients/m);
    assert.match(text, /^0 promises kept, 1 broken; in part: 1, for what/m);
    assert.equal(report.results[0]?.outcomes[0]?.partly, partly);
  });

  it('says how a promise was broken', () => {
    const text = formatReport(makeReport([resultOf([BROKEN])], OPTIONS, QUIET), undefined);
    assert.match(text, /^pressure, it survives: a value is gone$/m);
  });

  it('puts each cell on a line of its own on a narrow terminal', () => {
    const text = formatReport(makeReport([resultOf([{ ...KEPT, detail: 'x '.repeat(60) }])], OPTIONS, QUIET), 80);
    for (const line of text.split('\n').slice(2)) assert.ok(line.length <= 80, line);
  });
});

describe('exitCodeOf()', () => {
  it('is 1 if a promise was broken', () => {
    assert.equal(exitCodeOf([resultOf([KEPT])], { only: [], isComplete: false }), 0);
    assert.equal(exitCodeOf([resultOf([KEPT, BROKEN])], { only: [], isComplete: false }), 1);
  });

  it('is 1 for a scenario that cannot run here only if it was named explicitly and no part of it ran', () => {
    const missing = resultOf([], { scenario: 'model', unavailable: 'needs root' });
    assert.equal(exitCodeOf([missing, resultOf([KEPT, LEFT_OUT])], { only: [], isComplete: false }), 0);
    assert.equal(exitCodeOf([missing], { only: ['model'], isComplete: false }), 1);
    assert.equal(exitCodeOf([resultOf([KEPT, LEFT_OUT])], { only: ['pressure'], isComplete: false }), 0);
    assert.equal(exitCodeOf([resultOf([LEFT_OUT])], { only: ['pressure'], isComplete: false }), 1);
  });

  it('is 1 for anything that cannot run if the run must be complete', () => {
    assert.equal(exitCodeOf([resultOf([KEPT])], { only: [], isComplete: true }), 0);
    assert.equal(exitCodeOf([resultOf([KEPT, LEFT_OUT])], { only: [], isComplete: true }), 1);
    assert.equal(exitCodeOf([resultOf([], { unavailable: 'needs root' })], { only: [], isComplete: true }), 1);
  });

  it('is 1 for anything tried in part if the run must be complete', () => {
    const inPart = resultOf([KEPT, { ...KEPT, partly: 'without units, which needs cgroups' }]);
    assert.equal(exitCodeOf([inPart], { only: ['pressure'], isComplete: false }), 0);
    assert.equal(exitCodeOf([inPart], { only: [], isComplete: true }), 1);
  });
});
