import { takeTurns } from '../one-processor.ts';
import { ratio } from '../measurement.ts';
import type { Measurement } from '../measurement.ts';
import type { Bench, Row } from '../row.ts';
import { FEW, startInstalledDaemon } from '../servers.ts';
import { interleave } from '../statistics.ts';
import type { Load } from '../load.ts';
import type { PreparedStore } from '../prepared-stores.ts';
import type { Daemon } from '../../support/daemon.ts';
import type { Scope } from '../../support/scope.ts';

const SIZES = [1000, 10_000, 100_000] as const;
const QUICK_SIZES = [1000, 10_000] as const;
const CALLS_PER_BLOCK = 1000;

/**
 * `Get` of random names from stores of growing size, each compared with the smallest; the largest has a row of its own
 * (`many`).
 */
export const sizes: Row = {
  id: 'sizes',
  async measure({ scope, load, stores, choose, options }: Bench): Promise<Measurement[]> {
    const measurements: Measurement[] = [];
    for (const size of options.isQuick ? QUICK_SIZES : SIZES) {
      const grown = await open(scope, load, await stores.get(size));
      const small = await open(scope, load, await stores.get(FEW));
      const candidates = { grown: grown.measure, small: small.measure };
      takeTurns(scope, load, [grown.daemon, small.daemon]);
      await interleave(3, candidates);
      const times = await interleave(choose(30, 10), candidates);
      for (const opened of [grown, small]) await opened.close();
      const line = {
        row: 'sizes',
        what: `Get of a random name, ${size.toLocaleString('en')} credentials, p50`,
        against: `the same with ${FEW} credentials`,
        unit: 'µs',
        point: { plot: 'store-get', x: size },
      } as const;
      measurements.push(ratio(line, times.grown, times.small));
    }
    return measurements;
  },
};

async function open(
  scope: Scope,
  load: Load,
  { stateDirectory, credentials }: PreparedStore,
): Promise<{ daemon: Daemon; measure: () => Promise<number>; close: () => Promise<void> }> {
  const daemon = await startInstalledDaemon(scope, { stateDirectory });
  const target = await load.open(daemon, 1);
  const plan = { kind: 'get', credentials, order: 'random' } as const;
  await target.sample(plan);
  return {
    daemon,
    measure: () => target.oneAtATime(plan, CALLS_PER_BLOCK),
    close: async () => {
      await target.close();
      await daemon.stop();
    },
  };
}
