import path from 'node:path';
import { NODE_FLAGS } from '../../support/cio.ts';
import type { Daemon } from '../../support/daemon.ts';
import { plainEnvironment } from '../../support/process.ts';
import { nameOf, valueOf } from '../calls.ts';
import { ratio } from '../measurement.ts';
import type { Measurement } from '../measurement.ts';
import type { Bench, Row } from '../row.ts';
import { timeOf } from '../command-time.ts';
import { FEW, NODE, REPOSITORY, startDaemonWithFew } from '../servers.ts';
import { interleave } from '../statistics.ts';

const REFERENCE = '`node -e 0` of the same Node, from its start to its end';
const MADE_OF =
  'the start of Node, which is nearly all of it; the launcher, a shell script (see “without its launcher”); the compiled code of cio, and one call';
const LAUNCHER = [path.join(REPOSITORY, 'bin', 'cio')];
/** Without the shell script that finds the Node. */
const BUNDLE = [NODE, ...NODE_FLAGS, path.join(REPOSITORY, 'dist', 'cio.cjs')];

const GET = ['credential', 'get', nameOf(1)];
const LIST = ['credential', 'list'];

function environmentOf({ stateDirectory, socketPath }: Daemon): Readonly<Record<string, string>> {
  return { ...plainEnvironment(), HOME: path.dirname(stateDirectory), CIO_CREDENTIAL_SOCKET: socketPath };
}

/** Commands as whole processes. */
export const commands: Row = {
  id: 'commands',
  async measure({ scope, choose }: Bench): Promise<Measurement[]> {
    const few = environmentOf(await startDaemonWithFew(scope));
    const time = (command: readonly string[], expected?: string): number => timeOf(command, few, expected);
    // A store of its own, as created credentials would lengthen the list.
    const growing = environmentOf(await startDaemonWithFew(scope));
    let created = FEW;
    const create = (command: readonly string[]): number => {
      created += 1;
      return timeOf([...command, 'credential', 'create', nameOf(created), valueOf(created)], growing);
    };
    const results = await interleave(choose(60, 8), {
      nothing: () => time([NODE, '-e', '0']),
      get: () => time([...LAUNCHER, ...GET], valueOf(1)),
      getDirectly: () => time([...BUNDLE, ...GET], valueOf(1)),
      list: () => time([...LAUNCHER, ...LIST]),
      listDirectly: () => time([...BUNDLE, ...LIST]),
      create: () => create(LAUNCHER),
      createDirectly: () => create(BUNDLE),
    });
    const line = (what: string, limit?: number) => ({
      row: 'commands',
      what,
      against: REFERENCE,
      unit: 'ms' as const,
      budget: limit === undefined ? undefined : ({ kind: 'at most', limit, madeOf: MADE_OF } as const),
    });
    return [
      ratio(line('cio credential get NAME', 1.3), results.get, results.nothing),
      ratio(line('… without its launcher'), results.getDirectly, results.nothing),
      ratio(line(`cio credential list, of ${FEW}`, 1.6), results.list, results.nothing),
      ratio(line('… without its launcher'), results.listDirectly, results.nothing),
      ratio(line('cio credential create NAME VALUE', 1.6), results.create, results.nothing),
      ratio(line('… without its launcher'), results.createDirectly, results.nothing),
    ];
  },
};
