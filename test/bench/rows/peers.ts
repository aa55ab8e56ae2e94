import path from 'node:path';
import { plainEnvironment } from '../../support/process.ts';
import { nameOf, valueOf } from '../calls.ts';
import type { Plan } from '../calls.ts';
import { timeOf } from '../command-time.ts';
import { rateOf } from '../load.ts';
import type { LoadTarget } from '../load.ts';
import { ratio } from '../measurement.ts';
import type { Measurement } from '../measurement.ts';
import { etcd } from '../peers/etcd.ts';
import { gopass, pass } from '../peers/pass.ts';
import type { MakePeer, Peer } from '../peers/peer.ts';
import { secretTool } from '../peers/secret-tool.ts';
import { systemdCreds } from '../peers/systemd-creds.ts';
import type { Bench, Row } from '../row.ts';
import { FEW, REPOSITORY, startDaemonWithFew } from '../servers.ts';
import { interleave } from '../statistics.ts';

const PEERS: Readonly<Record<string, MakePeer>> = { pass, gopass, systemdCreds, secretTool, etcd };
const CIO = [path.join(REPOSITORY, 'bin', 'cio'), 'credential'];
const GETS: Plan = { kind: 'get', credentials: FEW, order: 'in turn' };
const REPLACES: Plan = { kind: 'replace', credentials: FEW };
const SOCKET_READS = 1000;
const SOCKET_WRITES = 100;

/** The environment of `cio`, and a connection to its daemon, to be measured in the same rounds as a peer. */
interface Own {
  readonly env: Readonly<Record<string, string>>;
  readonly target: LoadTarget;
}

/**
 * Other programs that keep secrets, compared with this one: the time of one read and one write, and calls per second.
 */
export const peers: Row = {
  id: 'peers',
  async measure(bench: Bench): Promise<Measurement[]> {
    const { scope, load, leaveOut } = bench;
    const daemon = await startDaemonWithFew(scope);
    const target = await load.open(daemon, 1);
    scope.after(() => target.close());
    const home = path.dirname(daemon.stateDirectory);
    const env = { ...plainEnvironment(), HOME: home, CIO_CREDENTIAL_SOCKET: daemon.socketPath };
    const measurements: Measurement[] = [];
    for (const [name, make] of Object.entries(PEERS)) {
      const peer = await make(scope);
      if (typeof peer === 'string') leaveOut(name, peer);
      else measurements.push(...(await comparePeer(bench, { env, target }, peer)));
    }
    return measurements;
  },
};

async function comparePeer({ choose }: Bench, own: Own, peer: Peer): Promise<Measurement[]> {
  const { name, how, readCommand, writeCommand, socket } = peer;
  const rounds = choose(15, 5);
  const line = { row: 'peers', unit: 'ms', note: how } as const;
  const reads = await beside(rounds, readCommand, () => timeOf([...CIO, 'get', nameOf(0)], own.env, valueOf(0)));
  const what = `${name}: one read by its command line`;
  const measurements = [ratio({ ...line, what, against: '`cio credential get`' }, reads.peer, reads.own)];
  if (writeCommand !== undefined) {
    const create = [...CIO, 'create', '--replace', nameOf(0), valueOf(0)];
    const writes = await beside(rounds, writeCommand, () => timeOf(create, own.env));
    const what = `${name}: one write by its command line`;
    measurements.push(ratio({ ...line, what, against: '`cio credential create --replace`' }, writes.peer, writes.own));
  }
  if (socket !== undefined) measurements.push(...(await compareSockets(choose, own, name, socket)));
  return measurements;
}

/** Measures both, after one round that does not count. */
async function beside(
  rounds: number,
  peer: () => number,
  own: () => number,
): Promise<Record<'peer' | 'own', number[]>> {
  await interleave(1, { peer, own });
  return interleave(rounds, { peer, own });
}

async function compareSockets(
  choose: Bench['choose'],
  { target }: Own,
  name: string,
  socket: NonNullable<Peer['socket']>,
): Promise<Measurement[]> {
  const candidates = {
    reads: () => socket.reads(SOCKET_READS),
    ownReads: async () => rateOf(await target.pipelined(GETS, { calls: SOCKET_READS, window: 1 })),
    writes: () => socket.writes(SOCKET_WRITES),
    ownWrites: async () => rateOf(await target.pipelined(REPLACES, { calls: SOCKET_WRITES, window: 1 })),
  };
  await interleave(1, candidates);
  const rates = await interleave(choose(15, 4), candidates);
  const line = { row: 'peers', unit: '/s' } as const;
  return [
    ratio(
      { ...line, what: `${name}: reads over its socket, one at a time`, against: 'Get' },
      rates.reads,
      rates.ownReads,
    ),
    ratio(
      { ...line, what: `${name}: durable writes over its socket, one at a time`, against: 'Create with replace' },
      rates.writes,
      rates.ownWrites,
    ),
  ];
}
