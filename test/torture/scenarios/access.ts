import { privateMounts, startWorld, user } from '../../daemon/access/personas.ts';
import { command, root, skipUnless } from '../../support/requirements.ts';
import { matrix, sameBytes, sameCounts } from '../access/matrix.ts';
import { sameTime } from '../access/timing.ts';
import type { Scenario } from '../scenario.ts';

/** Whom the daemon is, so that its own user is somebody else than root. */
const DAEMON_UID = 2990;

/** Everybody asks for everything: who may, may, and who may not learns nothing. */
export const access: Scenario = {
  id: 'access',
  describe: 'every persona, every method, every kind of name; the bytes, counts and times of what is none of his',
  unavailable: () => skipUnless(root, command('unshare', 'util-linux'), command('mount'), privateMounts) || undefined,
  async *run(torture) {
    const { socketPath } = await startWorld(torture.scope, user(DAEMON_UID));
    yield await matrix(socketPath, DAEMON_UID, torture);
    yield await sameBytes(socketPath, torture);
    yield await sameCounts(socketPath);
    yield await sameTime(socketPath, torture);
  },
};
