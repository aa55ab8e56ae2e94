import { readFileSync } from 'node:fs';
import path from 'node:path';
import { skipUnless, tracer, tracingOfOthers } from '../../support/requirements.ts';
import { allocations } from './allocations.ts';
import { daemonCounts } from './daemon-counts.ts';
import type { Figure } from './figure.ts';
import { kept } from './kept.ts';
import { processCounts } from './process-counts.ts';
import { sizes } from './sizes.ts';

const BOUNDS = path.join(import.meta.dirname, 'bounds.json');

/** The most that each figure may be, by its id; or both limits, if too little is no gain. */
export type Bounds = Readonly<Record<string, Bound>>;

type Bound = number | readonly [least: number, most: number];

export interface Verdict extends Figure {
  readonly bound: Bound | undefined;
  readonly state: 'within' | 'exceeded' | 'too little' | 'not counted' | 'without a bound';
}

/**
 * Counts what does not depend on how fast or busy the machine is: system calls, syncs, bytes. Prints how each compares
 * with its bound in bounds.json.
 *
 * @returns whether all are within their bounds
 */
export async function runGate(): Promise<boolean> {
  const missing = skipUnless(tracer, tracingOfOthers);
  if (missing !== false) {
    process.stderr.write(`nothing is counted: the gate ${missing}\n`);
    return false;
  }
  const figures = [...sizes(), ...(await counted()), ...(await allocations()), ...(await kept())];
  const verdicts = judge(figures, JSON.parse(readFileSync(BOUNDS, 'utf8')) as Bounds);
  process.stdout.write(formatVerdicts(verdicts));
  return passes(verdicts);
}

/** Compares figures with bounds; a bound without a figure gets a verdict, too. */
export function judge(figures: readonly Figure[], bounds: Bounds): Verdict[] {
  const verdicts = figures.map((figure): Verdict => {
    const bound = bounds[figure.id];
    if (figure.value === undefined) return { ...figure, bound, state: 'not counted' };
    if (bound === undefined) return { ...figure, bound, state: 'without a bound' };
    const [least, most] = typeof bound === 'number' ? [-Infinity, bound] : bound;
    return {
      ...figure,
      bound,
      state: figure.value < least ? 'too little' : figure.value <= most ? 'within' : 'exceeded',
    };
  });
  const ids = new Set(figures.map(({ id }) => id));
  const orphans = Object.entries(bounds).filter(([id]) => !ids.has(id));
  return [
    ...verdicts,
    ...orphans.map(([id, bound]): Verdict => ({ id, what: id, value: undefined, bound, state: 'not counted' })),
  ];
}

/** Tells whether every figure is within its bound, or was not counted for a stated reason. */
export function passes(verdicts: readonly Verdict[]): boolean {
  return verdicts.every(
    ({ state, missing }) => state === 'within' || (state === 'not counted' && missing !== undefined),
  );
}

async function counted(): Promise<Figure[]> {
  return [...(await daemonCounts()), ...(await processCounts())];
}

export function formatVerdicts(verdicts: readonly Verdict[]): string {
  const format = (value: number | undefined): string =>
    value === undefined ? '–' : value.toFixed(Number.isInteger(value) || value > 100 ? 0 : 2);
  const lines = verdicts.map(({ id, what, value, bound, state, missing }) => {
    const verdict = state === 'within' || state === 'not counted' ? state : state.toUpperCase();
    const reason = missing === undefined ? '' : `, for lack of ${missing}`;
    const limits = typeof bound === 'object' ? `${format(bound[0])} to ${format(bound[1])}` : `≤ ${format(bound)}`;
    return `${id.padEnd(22)}${format(value).padStart(10)}${limits.padStart(12)}  ${verdict}${reason}  (${what})`;
  });
  return `${lines.join('\n')}\n`;
}
