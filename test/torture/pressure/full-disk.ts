import { existsSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { CredentialError } from '../../../client/index.ts';
import type { CredentialClient } from '../../../client/index.ts';
import { BenchScope } from '../../bench/bench-scope.ts';
import { mounting, smallDisk } from '../../daemon/store/small-disk.ts';
import { skipUnless } from '../../support/requirements.ts';
import { Breaches, leftOut } from '../scenario.ts';
import type { Outcome, Torture } from '../scenario.ts';
import { descriptorsLeftOut, leakedDescriptors, Victim } from './victim.ts';

const DISK_KIBIBYTES = 4096;
const STEP_KIBIBYTES = 4;
const KIBIBYTE = 1024;

/** The number of writes in a round: the first fit if there is room for them, most of the last ones do not. */
const WRITES = 12;
const VALUE = 'x'.repeat(6000);
/** Few names, so that most writes replace a value. */
const NAMES = ['name-0', 'name-1', 'name-2', 'name-3'] as const;

/**
 * Fills the disk at every point of a workload: acknowledged writes must be there, others fail with StorageFull, and
 * free space ends the failures.
 */
export async function fullDisk({ choose, progress }: Torture): Promise<Outcome> {
  const breaches = new Breaches();
  const what = 'a write without room on the disk is refused by name, and leaves nothing behind';
  const missing = skipUnless(mounting);
  if (missing !== false) return leftOut(what, missing);
  await using scope = new BenchScope();
  const disk = smallDisk(scope, DISK_KIBIBYTES);
  const points = choose(200, 24);
  let refused = 0;
  const victim = await Victim.start(scope, [], path.join(disk, 'state'));
  await using client = await victim.connect();
  const known = new Map<string, string>();
  await client.call('Status', {});
  const before = victim.holdings;
  for (let point = 0; point < points; point += 1) {
    leaveRoom(disk, point * STEP_KIBIBYTES);
    for (let write = 0; write < WRITES; write += 1) {
      const name = NAMES[write % NAMES.length] ?? '';
      const value = `${point} ${write} ${VALUE}`;
      const outcome = await attempt(client, name, value);
      if (outcome === 'done') known.set(name, value);
      else if (outcome === 'StorageFull') refused += 1;
      else breaches.add(`with ${point * STEP_KIBIBYTES} KiB: ${outcome}`);
    }
    rmSync(path.join(disk, 'filler'), { force: true });
    const end = await victim.end(false);
    if (end !== undefined) {
      breaches.add(`with ${point * STEP_KIBIBYTES} KiB: ${end}`);
      break;
    }
    for (const name of NAMES) {
      const wrong = await lookAt(client, name, known.get(name));
      if (wrong !== undefined) breaches.add(`with ${point * STEP_KIBIBYTES} KiB: ${wrong}`);
    }
    const { problems } = await client.call('Fsck', {});
    for (const problem of problems) breaches.add(`with ${point * STEP_KIBIBYTES} KiB: fsck: ${problem.detail}`);
    progress(point + 1, points);
  }
  if (refused === 0) breaches.add('no write was refused: the disk was never full');
  const leaked = leakedDescriptors(before, victim.holdings);
  if (leaked !== undefined) breaches.add(leaked);
  return {
    what,
    count: points,
    unit: 'points',
    detail: `${refused} of ${points * WRITES} writes refused`,
    broken: breaches.sentences,
    partly: descriptorsLeftOut(before),
  };
}

async function attempt(client: CredentialClient, name: string, value: string): Promise<string> {
  try {
    await client.call('Create', { credentials: [{ name, value }], replace: true });
    return 'done';
  } catch (error) {
    return error instanceof CredentialError ? error.code : String(error);
  }
}

/** Returns what is wrong with a credential whose last acknowledged value this is, if any. */
async function lookAt(
  client: CredentialClient,
  name: string,
  acknowledged: string | undefined,
): Promise<string | undefined> {
  try {
    const { value } = await client.call('Get', { name });
    if (value === acknowledged) return undefined;
    return acknowledged === undefined ? `${name} is there, and was refused` : `${name} has another value`;
  } catch (error) {
    if (!(error instanceof CredentialError)) throw error;
    return error.code === 'NotFound' && acknowledged === undefined
      ? undefined
      : `${name} was acknowledged: ${error.code}`;
  }
}

/** Fills the disk except for so much. */
function leaveRoom(disk: string, kibibytes: number): void {
  const filler = path.join(disk, 'filler');
  if (existsSync(filler)) rmSync(filler);
  const { bavail, bsize } = statfsSync(disk);
  writeFileSync(filler, Buffer.alloc(Math.max(0, bavail * bsize - kibibytes * KIBIBYTE)));
}
