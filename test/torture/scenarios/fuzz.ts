import { fuzzClient } from '../fuzz/client.ts';
import { fuzzCommandLine } from '../fuzz/command-line.ts';
import { fuzzDaemon } from '../fuzz/daemon.ts';
import { fuzzLoad } from '../fuzz/load.ts';
import type { Scenario } from '../scenario.ts';

/** Sends invalid messages on every socket, to the daemon and to its clients. */
export const fuzz: Scenario = {
  id: 'fuzz',
  describe: 'messages made from the interface, and broken, on every socket; servers that answer clients so',
  async *run(torture) {
    yield await fuzzDaemon(torture);
    yield await fuzzLoad(torture);
    yield await fuzzClient(torture);
    yield await fuzzCommandLine(torture);
  },
};
