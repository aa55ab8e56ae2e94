import { connect, CredentialError } from '../../../client/index.ts';
import type { CredentialClient } from '../../../client/index.ts';
import { BenchScope } from '../../bench/bench-scope.ts';
import { DAEMON_COMMAND } from '../../bench/servers.ts';
import { ownedDirectory } from '../../daemon/access/personas.ts';
import { forAllUsers } from '../../support/checkout-for-all.ts';
import { startDaemon } from '../../support/daemon.ts';
import type { Daemon } from '../../support/daemon.ts';
import { asIdentity } from '../../support/identity.ts';
import { runSuccessfully } from '../../support/process.ts';
import { command, root, skipUnless } from '../../support/requirements.ts';
import type { Scope } from '../../support/scope.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { Breaches, leftOut } from '../scenario.ts';
import type { Outcome, Torture } from '../scenario.ts';

/** A user without other processes, as the limit counts all processes of a user. */
const DAEMON = { uid: 2991, gid: 2991 };
const PASSPHRASE = 'correct horse battery staple';
const NAME = 'cio_aws_backup_repo';
const VALUE = 's3:http://127.0.0.1:9/bucket';

/**
 * Tests a daemon that can start neither a process nor a thread, as when other processes have taken all that there are.
 */
export async function noProcesses({ choose, progress }: Torture): Promise<Outcome> {
  const what = 'when no process or thread can be started, the daemon serves, unlocks by a passphrase, and survives';
  const missing = skipUnless(root, command('prlimit', 'util-linux'), command('setpriv', 'util-linux'));
  if (missing !== false) return leftOut(what, missing);
  const breaches = new Breaches();
  const rounds = choose(10, 1);
  let refused = 0;
  for (let round = 0; round < rounds; round += 1) {
    await using scope = new BenchScope();
    const directory = temporaryDirectory(scope, 'cio-tasks');
    const places = {
      stateDirectory: ownedDirectory(directory, 'state', DAEMON),
      runtimeDirectory: ownedDirectory(directory, 'run', DAEMON, '0755'),
    };
    await prepare(scope, places);
    // A second daemon, which has not derived a key yet.
    const daemon = await start(scope, places);
    await using client = await connect({ socket: daemon.socketPath });
    await client.call('Lock', {});
    try {
      await forbidProcesses(daemon.pid);
      await client.call('Unlock', { passphrase: PASSPHRASE });
      refused += await countRefused(client);
      if ((await client.call('Get', { name: NAME })).value !== VALUE) breaches.add('a value is another one');
      for (const { detail } of (await client.call('Fsck', {})).problems) breaches.add(`fsck: ${detail}`);
    } catch (error) {
      breaches.add(`round ${round}: ${String(error)}`);
    }
    if (daemon.service.exit !== undefined) breaches.add(`round ${round}: the daemon ended`);
    progress(round + 1, rounds);
  }
  if (refused < rounds) breaches.add(`only ${refused} restores were refused: processes could be started`);
  return {
    what,
    count: rounds,
    unit: 'rounds',
    detail: `${refused} restores refused by name`,
    broken: breaches.sentences,
  };
}

/** Run as the user itself: changing another user's limits needs a capability, lowering one's own does not. */
async function forbidProcesses(pid: number): Promise<void> {
  await runSuccessfully(asIdentity(DAEMON, ['prlimit', `--pid=${pid}`, '--nproc=1:1']));
}

async function prepare(scope: Scope, places: Places): Promise<void> {
  const daemon = await start(scope, places);
  await using client = await connect({ socket: daemon.socketPath });
  await client.call('AddSlot', { kind: 'passphrase', passphrase: PASSPHRASE });
  await client.call('Create', { credentials: [{ name: NAME, value: VALUE }] });
  await daemon.stop();
}

/** Counts a refused restore. A copy is checked in another process, so it is refused while none can be started. */
async function countRefused(client: CredentialClient): Promise<number> {
  let upload: string | undefined;
  let sha256 = '';
  for await (const reply of client.stream('Backup', {})) {
    sha256 = reply.sha256 ?? sha256;
    for (const piece of reply.pieces.filter((text) => text !== '')) {
      upload = (await client.call('UploadCopy', { piece, ...(upload === undefined ? {} : { upload }) })).upload;
    }
  }
  try {
    await client.call('Restore', { upload: upload ?? '', sha256 });
    return 0;
  } catch (error) {
    if (error instanceof CredentialError && error.code === 'StorageFailed') return 1;
    throw error;
  }
}

interface Places {
  readonly stateDirectory: string;
  readonly runtimeDirectory: string;
}

function start(scope: Scope, places: Places): Promise<Daemon> {
  const args = ['--system', '--validate-every', 'off'];
  return startDaemon(scope, { ...places, args, command: asIdentity(DAEMON, forAllUsers(scope, DAEMON_COMMAND)) });
}
