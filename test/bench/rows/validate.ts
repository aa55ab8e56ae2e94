import type { Plan } from '../calls.ts';
import { ratio, type Measurement } from '../measurement.ts';
import { Unavailable } from '../row.ts';
import type { Bench, Row } from '../row.ts';
import { FEW, startDaemonWithFew } from '../servers.ts';
import { interleave, spreadOf } from '../statistics.ts';
import { missingForValidation, ValidatedSet, type Needed } from '../validated-set.ts';

/** As many as the daemon runs at a time. */
const VALIDATIONS = 16;

const GETS: Plan = { kind: 'get', credentials: FEW, order: 'in turn' };
/** Calls whose times make one 99th percentile; they take about as long as the validations. */
const CALLS_PER_BLOCK = 20_000;

/** A validation of a good set, from the call to the last finding, including the start of the prober. */
export const validate: Row = {
  id: 'validate',
  async measure({ scope, choose }: Bench): Promise<Measurement[]> {
    requireServer();
    const set = await ValidatedSet.make(scope);
    const daemon = await startDaemonWithFew(scope);
    await set.storeIn(scope, daemon);
    const needs: Needed[] = [];
    const candidates = {
      whole: async (): Promise<number> => {
        const startedMs = performance.now();
        await set.validate(daemon);
        return performance.now() - startedMs;
      },
      needed: async (): Promise<number> => {
        const need = await set.need();
        needs.push(need);
        return need.roundTrips + need.derivation;
      },
    };
    await interleave(1, candidates);
    const { whole, needed } = await interleave(choose(15, 4), candidates);
    const trips = spreadOf(needs.map(({ roundTrips }) => roundTrips)).median.toFixed(1);
    const derivation = spreadOf(needs.map(({ derivation }) => derivation)).median.toFixed(1);
    const line = {
      row: 'validate',
      what: 'validation of a good set, against MinIO',
      against:
        'the 7 requests that it needs, over one connection, and the derivation of the repository’s key by Node’s scrypt',
      unit: 'ms',
      budget: {
        kind: 'at most',
        limit: 1.5,
        madeOf:
          'the start of the prober process, besides the round trips and the key derivation, which are unavoidable',
      },
      note: `round trips ${trips} ms, key derivation ${derivation} ms`,
    } as const;
    return [ratio(line, whole, needed)];
  },
};

/** `Get` for other clients, while as many validations run as the daemon allows. */
export const validateBeside: Row = {
  id: 'validate-beside',
  async measure({ scope, load, choose }: Bench): Promise<Measurement[]> {
    requireServer();
    const set = await ValidatedSet.make(scope);
    const daemon = await startDaemonWithFew(scope);
    await set.storeIn(scope, daemon);
    const target = await load.open(daemon, 1);
    scope.after(() => target.close());
    const block = (): Promise<number> => target.oneAtATime(GETS, CALLS_PER_BLOCK, 0.99);
    const beside = async (): Promise<number> => besideValidations(block, () => set.validate(daemon));
    await interleave(1, { block });
    const { with: busy, without } = await interleave(choose(15, 4), { with: beside, without: block });
    const line = {
      row: 'validate-beside',
      what: `Get, one at a time, p99, while ${VALIDATIONS} validations run`,
      against: 'the same without validations',
      unit: 'µs',
      budget: {
        kind: 'at most',
        limit: 1.5,
        madeOf:
          'probers have the least weight of all processes, but with few processors the daemon waits for one of them now and then',
      },
    } as const;
    return [ratio(line, busy, without)];
  },
};

/** Measures while validations run; when one ends, another takes its place. */
async function besideValidations(block: () => Promise<number>, validateOnce: () => Promise<void>): Promise<number> {
  const measured = new AbortController();
  const keepValidating = async (): Promise<void> => {
    while (!measured.signal.aborted) await validateOnce();
  };
  const running = Promise.all(Array.from({ length: VALIDATIONS }, keepValidating));
  const measuring = block().finally(() => measured.abort());
  const [time] = await Promise.all([measuring, running]);
  return time;
}

/** @throws Unavailable */
function requireServer(): void {
  const missing = missingForValidation();
  if (missing !== undefined) throw new Unavailable(`needs ${missing}`);
}
