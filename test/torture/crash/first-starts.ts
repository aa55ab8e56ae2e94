import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { BenchScope } from '../../bench/bench-scope.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { Breaches } from '../scenario.ts';
import type { Outcome, Torture } from '../scenario.ts';
import { DaemonRun } from './daemon-run.ts';
import type { FileCall } from './daemon-run.ts';

const KEY_FILE = 'root.key';

/** The system calls with which a first start changes files. */
const CALLS: readonly FileCall[] = ['mkdir', 'write', 'fchmod', 'fsync', 'link', 'unlink', 'pwrite64', 'ftruncate'];

/** Far more than a first start makes of each; one that reaches it would never be ready. */
const STEPS_MAX = 500;

/**
 * Kills daemons at every step of a first start. The next daemon must complete it, and no key that was made may be lost.
 */
export async function firstStarts({ choose, progress }: Torture): Promise<Outcome> {
  const breaches = new Breaches();
  const stride = choose(1, 4);
  let [kills, keys] = [0, 0];
  for (const [index, call] of CALLS.entries()) {
    const killsBefore = kills;
    for (let count = 1; ; count += stride) {
      const place = `killed before ${call} ${count}`;
      if (count > STEPS_MAX) {
        breaches.add(`${place}: a first start never comes to its end`);
        break;
      }
      await using scope = new BenchScope();
      const directory = temporaryDirectory(scope, 'cio-crash');
      const directories = { state: path.join(directory, 'state'), run: path.join(directory, 'run') };
      const keyFile = path.join(directories.state, KEY_FILE);
      const daemon = new DaemonRun(scope, directories, { dieBefore: { call, count } });
      await using survivor = await daemon.ready();
      if (survivor !== undefined) break;
      if (daemon.failure !== undefined) {
        breaches.add(`to be ${place}, a first start fails: ${daemon.failure}`);
        break;
      }
      kills += 1;
      const key = existsSync(keyFile) ? readFileSync(keyFile, 'latin1') : undefined;
      if (key !== undefined) keys += 1;
      for (const wrong of await use(scope, directories)) breaches.add(`${place}: ${wrong}`);
      if (key !== undefined && readFileSync(keyFile, 'latin1') !== key) {
        breaches.add(`${place}: the key file is another one`);
      }
    }
    if (kills === killsBefore) breaches.add(`no daemon was killed before a ${call}`);
    progress(index + 1, CALLS.length);
  }
  if (keys === 0 || keys === kills) breaches.add(`after ${keys} of ${kills} kills there was a key file`);
  return {
    what: 'a first start that is killed at any step is completed by the next one',
    count: kills,
    unit: 'kills',
    detail: `after ${keys} of them there was a key file already`,
    broken: breaches.sentences,
  };
}

/** Starts the daemon again after a crash and stores something, as a user would. Returns what is wrong. */
async function use(scope: BenchScope, directories: { state: string; run: string }): Promise<string[]> {
  const daemon = new DaemonRun(scope, directories);
  await using client = await daemon.ready();
  if (client === undefined) return [`the daemon does not start: ${daemon.account}`];
  await client.call('Create', { credentials: [{ name: 'token', value: 'first' }] });
  const { problems } = await client.call('Fsck', {});
  const { value } = await client.call('Get', { name: 'token' });
  await daemon.kill();
  return [
    ...problems.map(({ what, detail }) => `fsck: ${what} ${detail}`),
    ...(value === 'first' ? [] : ['what is stored then is not there']),
  ];
}
