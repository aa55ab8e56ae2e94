import { privateMounts, startWorld, user } from '../../daemon/access/personas.ts';
import { command, root, skipUnless } from '../../support/requirements.ts';
import { matrix, sameBytes, sameCounts } from '../access/matrix.ts';
import { sameTime } from '../access/timing.ts';
import type { Scenario } from '../scenario.ts';

/** The uid of the daemon, so that its own user is not root. */
const DAEMON_UID = 2990;

/** Has every persona make every call: those allowed succeed, and the others learn nothing. */
export const access: Scenario = {
  id: 'access',
  describe: 'every persona, every method, every kind of name; bytes, counts and times for what it may not see',
  unavailable: () => skipUnless(root, command('unshare', 'util-linux'), command('mount'), privateMounts) || undefined,
  async *run(torture) {
    const { socketPath } = await startWorld(torture.scope, user(DAEMON_UID));
    yield await matrix(socketPath, DAEMON_UID, torture);
    yield await sameBytes(socketPath, torture);
    yield await sameCounts(socketPath);
    yield await sameTime(socketPath, torture);
  },
};
