import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { put } from './put.ts';
import { leftOut, outcomesOf } from './scenario.ts';
import type { Outcome, Scenario } from './scenario.ts';

const KEPT: Outcome = { what: 'it survives', count: 3, unit: 'kills', detail: '', broken: [] };
const BROKEN: Outcome = { ...KEPT, what: 'it stays whole', broken: ['a value is gone'] };

function scenarioOf(run: Scenario['run']): Scenario {
  return { id: 'crash', describe: '', run };
}

/** Runs a scenario through put(). Returns what its report calls broken, and the log. */
async function trial(run: (log: () => string) => AsyncIterable<Outcome>): Promise<{ broken: string[]; log: string }> {
  let log = '';
  const write = (text: string | Uint8Array): boolean => {
    log += String(text);
    return true;
  };
  const scenario = scenarioOf(() => run(() => log));
  const { outcomes } = await put(scenario, { isShort: true, seed: 7 }, { isTTY: false, write });
  return { broken: outcomes.flatMap(({ what, broken }) => broken.map((sentence) => `${what}: ${sentence}`)), log };
}

describe('put()', () => {
  it('logs how a promise was broken before the next one is tried', async () => {
    let saidBefore = '';
    await trial(async function* (log) {
      yield BROKEN;
      saidBefore = log();
      yield await Promise.resolve(KEPT);
    });
    assert.equal(saidBefore, 'crash: BROKEN, it stays whole: a value is gone\n');
  });

  it('keeps the broken promises of a scenario that then fails', async () => {
    const { broken, log } = await trial(async function* () {
      yield await Promise.resolve(BROKEN);
      throw new Error('no such command');
    });
    assert.equal(broken[0], 'it stays whole: a value is gone');
    assert.match(broken[1] ?? '', /^it can be tried to its end: Error: no such command/);
    assert.match(log, /BROKEN, it can be tried to its end: Error: no such command/);
  });

  it('keeps the broken promises of work that fails, and reports no other as kept', async () => {
    const { broken } = await trial(() =>
      outcomesOf(
        () => Promise.reject(new Error('gone')),
        () => [KEPT, BROKEN],
      ),
    );
    assert.equal(broken.length, 2);
    assert.equal(broken[0], 'it stays whole: a value is gone');
  });

  it('reports a promise that was tried no time as broken, unless it was left out', async () => {
    const { broken } = await trial(async function* () {
      yield { ...KEPT, count: 0 };
      yield { ...KEPT, count: Number.NaN };
      yield await Promise.resolve(leftOut('it is mounted', 'needs root'));
    });
    assert.deepEqual(broken, ['it survives: nothing was tried', 'it survives: nothing was tried']);
  });

  it('reports a scenario without any outcome as broken', async () => {
    const { broken } = await trial(async function* () {
      yield* await Promise.resolve([]);
    });
    assert.deepEqual(broken, ['it can be tried to its end: nothing was tried']);
  });
});
