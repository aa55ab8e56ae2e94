import { BenchScope } from '../../bench/bench-scope.ts';
import { TestVault } from '../../daemon/vault/open-vault.ts';
import { memoryDirectory } from '../../daemon/vault/memory-directory.ts';
import { skipUnless, tracer, tracingOfOthers } from '../../support/requirements.ts';
import { Disk } from '../power/disk.ts';
import { History } from '../power/history.ts';
import { record } from '../power/record.ts';
import { loseRestores } from '../power/restores.ts';
import type { Random } from '../random.ts';
import { Breaches } from '../scenario.ts';
import type { Scenario } from '../scenario.ts';

/**
 * Loses the power of the disk. What a daemon writes and syncs is recorded with strace, and played back onto a disk that
 * loses any choice of what was not synced: whole writes, and single sectors of them. This needs no kernel module
 * (dm-flakey, dm-log-writes), covers every order that a disk may choose, and uses the very calls of the real process.
 */
export const powerLoss: Scenario = {
  id: 'power-loss',
  describe: 'unsynced writes lost, reordered and torn, at every moment of a recorded run',
  unavailable: () => skipUnless(tracer, tracingOfOthers) || undefined,
  async *run(torture) {
    const { scope, random, choose, progress } = torture;
    const history = new History();
    const { events, directory } = await record(scope, (client) => history.make(client, choose(600, 150), random));
    const images = choose(6000, 400);
    const breaches = new Breaches();
    const places = new Set(Array.from({ length: images }, () => random.below(events.length)));
    const perPlace = Math.max(1, Math.floor(images / places.size));
    const disk = new Disk();
    let [answers, tried, beforeStore] = [0, 0, 0];
    for (const [place, event] of events.entries()) {
      disk.apply(event);
      if (event.kind === 'answers') answers = Math.min(history.length, answers + event.count);
      for (let image = 0; places.has(place) && image < perPlace; image += 1) {
        tried += 1;
        const wrong = await look(disk, random, directory, history, answers);
        if (wrong === 'no store yet') beforeStore += 1;
        else if (wrong !== undefined) breaches.add(`after event ${place} (${event.kind}), image ${image}: ${wrong}`);
        progress(tried, places.size * perPlace);
      }
    }
    if (answers < history.length) breaches.add(`the trace has ${answers} answers of ${history.length}`);
    yield {
      what: 'acknowledged calls survive a loss of power, in their order',
      count: tried,
      unit: 'images',
      detail: `${events.length} events, ${answers} acknowledged calls; in ${beforeStore} images the store was not made yet`,
      broken: breaches.sentences,
    };
    yield await loseRestores(torture);
  },
};

/** Opens what the disk has left. Returns what is wrong with it. */
async function look(
  disk: Disk,
  random: Random,
  directory: string,
  history: History,
  answers: number,
): Promise<string | undefined> {
  await using scope = new BenchScope();
  const image = memoryDirectory(scope);
  disk.lose(random, directory, image);
  let opened: TestVault;
  try {
    opened = await TestVault.open(scope, image);
  } catch (error) {
    if (answers > 0) return `the store does not open: ${error instanceof Error ? error.message : 'unknown'}`;
    return 'no store yet';
  }
  if (opened.vault.isLocked) return answers > 0 ? 'no slot opens the store' : 'no store yet';
  const { problems } = await opened.fsck();
  if (problems.length > 0) return `fsck: ${problems.map(({ what, detail }) => `${what} ${detail}`).join('; ')}`;
  return history.explain((name) => opened.value(name), answers);
}
