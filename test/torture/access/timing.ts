import { performance } from 'node:perf_hooks';
import { BenchScope } from '../../bench/bench-scope.ts';
import { quantile } from '../../bench/statistics.ts';
import { credentialOf, user } from '../../daemon/access/personas.ts';
import { RawClient } from '../../daemon/access/raw-client.ts';
import type { Random } from '../random.ts';
import { Breaches } from '../scenario.ts';
import type { Outcome, Torture } from '../scenario.ts';
import { ROWS, targetOf } from './rows.ts';

/**
 * Limit on the advantage over guessing with which the time of one call tells a foreign name from a missing one: the
 * common language effect size of Mann and Whitney's U minus 0.5, which no single slow call moves. With 4000 calls of
 * each, chance alone stays below 0.02 in 998 of 1000 cases (its standard deviation is 0.0065).
 */
const ADVANTAGE_MAX = 0.03;
const MEDIANS_MIN = 0.9;
const MEDIANS_MAX = 1.1;

/** A difference counts only if it appears in every one of so many runs: a real leak is reproducible. */
const RUNS_MAX = 3;

const WARM_UP = 200;

const NAMES = 200;
const NAME_LENGTH = 12;

/** The users to whom the foreign names are granted; none of them is the caller. */
const GRANTEES = 20;
const FIRST_GRANTEE = 9000;
const A = 'a'.codePointAt(0) ?? 0;
const LETTERS = 26;

const METHODS: readonly string[] = ['Get', 'GetSet', 'History', 'Grant', 'Rollback', 'Remove', 'Validate', 'List'];

/** Compares the times of calls about foreign and missing names, interleaved, which must not differ. */
export async function sameTime(socketPath: string, { random, choose, progress }: Torture): Promise<Outcome> {
  await using scope = new BenchScope();
  const client = await RawClient.as(scope, socketPath, user(3030));
  const root = await RawClient.as(scope, socketPath, user(0));
  const names = { foreign: anyNames(random), missing: anyNames(random) };
  const credentials = names.foreign.map((set) => ({ name: credentialOf(set), value: 'foreign' }));
  await root.call('Create', { credentials });
  // Nor may it show that each of these, and its set, was granted to others.
  const grantees = Array.from({ length: GRANTEES }, (_, index) => ({ uid: FIRST_GRANTEE + index }));
  for (const set of names.foreign)
    for (const target of [credentialOf(set), set]) await root.call('Grant', { target, grantees });
  const breaches = new Breaches();
  const rows = METHODS.flatMap((method) => ROWS.find((row) => row.method === method && row.about !== 'nothing') ?? []);
  const pairs = choose(20_000, 4000);
  let [calls, largest] = [0, 0];
  const medians: number[] = [];
  for (const [index, row] of rows.entries()) {
    const time = async (kind: keyof typeof names): Promise<number> => {
      const parameters = row.parameters(targetOf(row, random.pick(names[kind])));
      const startedMs = performance.now();
      await client.callRaw(row.method, parameters);
      calls += 1;
      return performance.now() - startedMs;
    };
    for (let turn = 0; turn < WARM_UP; turn += 1) await time(random.oneIn(2) ? 'foreign' : 'missing');
    for (let run = 1; run <= RUNS_MAX; run += 1) {
      const foreign: number[] = [];
      const missing: number[] = [];
      for (let pair = 0; pair < pairs; pair += 1) {
        const isForeignFirst = random.oneIn(2);
        if (isForeignFirst) foreign.push(await time('foreign'));
        missing.push(await time('missing'));
        if (!isForeignFirst) foreign.push(await time('foreign'));
      }
      const advantage = Math.abs(superiority(foreign, missing) - 0.5);
      const ratio = median(foreign) / median(missing);
      const differs = advantage > ADVANTAGE_MAX || ratio < MEDIANS_MIN || ratio > MEDIANS_MAX;
      if (differs && run < RUNS_MAX) continue;
      largest = Math.max(largest, advantage);
      medians.push(ratio);
      if (differs) {
        const share = (100 * (0.5 + advantage)).toFixed(1);
        breaches.add(
          `${row.method}: ${share} % of the guesses would be right; ratio of the medians ${ratio.toFixed(3)}`,
        );
      }
      break;
    }
    progress(index + 1, rows.length);
  }
  return {
    what: 'response times do not tell a foreign name from a missing one',
    count: calls,
    unit: 'calls',
    detail:
      `${rows.length} methods; ratios of medians ${Math.min(...medians).toFixed(3)} to ${Math.max(...medians).toFixed(3)}; ` +
      `at best ${(100 * (0.5 + largest)).toFixed(1)} % right guesses`,
    broken: breaches.sentences,
  };
}

/** Makes many names of one length, so that the time that a name's characters take does not count as a difference. */
function anyNames(random: Random): string[] {
  return Array.from({ length: NAMES }, () =>
    Array.from({ length: NAME_LENGTH }, () => String.fromCodePoint(A + random.below(LETTERS))).join(''),
  );
}

/**
 * Returns the probability that a value of the first sample is larger than one of the second, with ties counted half
 * (Mann and Whitney, 1947).
 */
function superiority(first: readonly number[], second: readonly number[]): number {
  const all = [
    ...first.map((value) => ({ value, isFirst: true })),
    ...second.map((value) => ({ value, isFirst: false })),
  ];
  all.sort((a, b) => a.value - b.value);
  let rankSum = 0;
  for (let start = 0; start < all.length;) {
    let end = start;
    while (end < all.length && all[end]?.value === all[start]?.value) end += 1;
    const rank = (start + 1 + end) / 2;
    for (let index = start; index < end; index += 1) if (all[index]?.isFirst === true) rankSum += rank;
    start = end;
  }
  const smallest = (first.length * (first.length + 1)) / 2;
  return (rankSum - smallest) / (first.length * second.length);
}

function median(values: readonly number[]): number {
  return quantile(
    values.toSorted((a, b) => a - b),
    0.5,
  );
}
