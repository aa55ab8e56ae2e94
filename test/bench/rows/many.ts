import { FEW, startInstalledDaemon } from '../servers.ts';
import { takeTurns } from '../one-processor.ts';
import { ratio } from '../measurement.ts';
import type { Measurement } from '../measurement.ts';
import type { Bench, Row } from '../row.ts';
import { interleave } from '../statistics.ts';

const MANY_LONG = 1_000_000;
/** For the quick form, and for the row about the start, whose budget names this number. */
export const MANY_QUICK = 100_000;
const CALLS_PER_BLOCK = 1000;
const MADE_OF = 'random names are rarely cached: a look-up in the file, and the record is decrypted twice';

/** `Get` of random names from a large store, and of as few names as the small one has. */
export const many: Row = {
  id: 'many',
  async measure({ scope, load, stores, choose }: Bench): Promise<Measurement[]> {
    const large = await stores.get(choose(MANY_LONG, MANY_QUICK));
    const small = await stores.get(FEW);
    const open = async ({ stateDirectory, credentials }: { stateDirectory: string; credentials: number }) => {
      const daemon = await startInstalledDaemon(scope, { stateDirectory });
      const target = await load.open(daemon, 1);
      const any = { kind: 'get', credentials, order: 'random' } as const;
      const few = { ...any, credentials: FEW };
      await target.sample(any);
      return {
        daemon,
        any: () => target.oneAtATime(any, CALLS_PER_BLOCK),
        few: () => target.oneAtATime(few, CALLS_PER_BLOCK),
        close: () => target.close(),
      };
    };
    const daemons = { large: await open(large), small: await open(small) };
    const candidates = { any: daemons.large.any, few: daemons.large.few, small: daemons.small.any };
    takeTurns(scope, load, [daemons.large.daemon, daemons.small.daemon]);
    await interleave(3, candidates);
    const times = await interleave(choose(60, 15), candidates);
    await daemons.large.close();
    await daemons.small.close();
    const size = `${large.credentials.toLocaleString('en')} credentials, p50`;
    const line = { row: 'many', against: `the same with ${small.credentials} credentials`, unit: 'µs' } as const;
    const random = {
      ...line,
      what: `Get of a random name, ${size}`,
      budget: { kind: 'at most', limit: 1.3, madeOf: MADE_OF },
      note: `storing them took ${large.seconds.toFixed(1)} s (${(large.credentials / large.seconds).toFixed(0)}/s), 1000 in a call`,
    } as const;
    return [
      ratio(random, times.any, times.small),
      ratio({ ...line, what: `Get of one of ${FEW} names, ${size}` }, times.few, times.small),
    ];
  },
};
