/**
 * The program that interruption.test.ts interrupts: makes a folder, prints its path, and waits; or fails as soon as it
 * is cleaned up; or throws an uncaught error.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { BenchScope } from './bench-scope.ts';
import { runInterruptibly } from './interruption.ts';

const HOUR_MS = 3_600_000;

await runInterruptibly(async () => {
  await using scope = new BenchScope();
  const { promise: cleanedUp, reject } = Promise.withResolvers<never>();
  const folder = temporaryDirectory(scope, 'cio-interrupted');
  if (process.argv[2] === 'fails') {
    // Registered last, so cleaned up first: the work breaks while the folder is still there.
    scope.after(async () => {
      reject(new Error('what it worked with was taken away'));
      await sleep(100);
    });
  }
  process.stdout.write(`${folder}\n`);
  if (process.argv[2] === 'has a defect') {
    setImmediate(() => {
      throw new Error('nobody catches this');
    });
  }
  await Promise.race([cleanedUp, sleep(HOUR_MS)]);
});
