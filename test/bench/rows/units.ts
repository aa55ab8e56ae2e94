import { spawn } from 'node:child_process';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { cgroups, makeCgroup } from '../../daemon/access/raw-client.ts';
import { command, root, skipUnless } from '../../support/requirements.ts';
import type { Scope } from '../../support/scope.ts';
import { nameOf, valueOf } from '../calls.ts';
import { ratio } from '../measurement.ts';
import type { Measurement } from '../measurement.ts';
import { cpuMsOf } from '../processor-time.ts';
import type { Bench, Row } from '../row.ts';
import { callOnce, startDaemonWithFew, startOnceServer } from '../servers.ts';
import { interleave, spreadOf } from '../statistics.ts';

/** Unique, as another run may be measuring at the same time. */
const UNIT = `cio-bench-${process.pid}.service`;
/** systemd fetches for several units at a time. */
const AT_ONCE = 8;
const REFERENCE =
  'a server in the same Node that answers each connection with the same bytes and ends it; both are called by the same helper, from abstract addresses';

interface Fetched {
  readonly rate: number;
  readonly median: number;
  readonly helperPart: number;
  readonly serverPart: number;
}

/** Answers on the LOAD socket: a connection, its peer's identity, the value, the end. */
export const units: Row = {
  id: 'units',
  async measure({ scope, choose, leaveOut }: Bench): Promise<Measurement[]> {
    const missing = skipUnless(root, cgroups, command('python3'));
    if (missing !== false) {
      leaveOut('LOAD answers', missing);
      return [];
    }
    const daemon = await startDaemonWithFew(scope);
    await callOnce(scope, daemon, 'Grant', { target: nameOf(0), grantees: [{ unit: UNIT }] });
    const reference = await startOnceServer(scope, Buffer.from(valueOf(0)));
    // A user's own daemon trusts that user's systemd, whose units are below the user's service.
    const cgroup = makeCgroup(scope, `user@${process.getuid?.() ?? 0}.service/${UNIT}`);
    const seconds = choose(1, 0.4);
    const load = path.join(daemon.runtimeDirectory, 'load');
    const asked = {
      daemon: { socketPath: load, pid: daemon.pid },
      reference,
    };
    const one = (server: { socketPath: string; pid: number }) => startHelper(scope, cgroup, server, 1, seconds);
    const many = (server: { socketPath: string; pid: number }) => startHelper(scope, cgroup, server, AT_ONCE, seconds);
    const candidates = {
      daemonOne: one(asked.daemon),
      referenceOne: one(asked.reference),
      daemonMany: many(asked.daemon),
      referenceMany: many(asked.reference),
    };
    await interleave(1, candidates);
    const results = await interleave(choose(15, 4), candidates);
    const line = { row: 'units', against: REFERENCE } as const;
    const of = (key: keyof Fetched, fetched: readonly Fetched[]): number[] => fetched.map((one) => one[key]);
    const busy = (fetched: readonly Fetched[]): string =>
      `server ${spreadOf(of('serverPart', fetched)).median.toFixed(0)} % busy, helper ${spreadOf(of('helperPart', fetched)).median.toFixed(0)} %`;
    return [
      ratio(
        {
          ...line,
          what: `LOAD answers, ${AT_ONCE} connections at a time`,
          unit: '/s',
          note: `${busy(results.daemonMany)}; the reference: ${busy(results.referenceMany)}; no service manager keeps copies here`,
        },
        of('rate', results.daemonMany),
        of('rate', results.referenceMany),
      ),
      ratio(
        { ...line, what: 'one LOAD answer, from connect(2) to the end, p50', unit: 'µs' },
        of('median', results.daemonOne),
        of('median', results.referenceOne),
      ),
    ];
  },
};

/** @returns a function that fetches for some seconds, and fails if it gets anything but the value */
function startHelper(
  scope: Scope,
  cgroup: string,
  { socketPath, pid }: { readonly socketPath: string; readonly pid: number },
  atOnce: number,
  seconds: number,
): () => Promise<Fetched> {
  const script = path.join(import.meta.dirname, '..', 'load-peers.py');
  const enter = 'echo $$ > "$0/cgroup.procs" && exec "$@"';
  const helper = ['/usr/bin/python3', script, socketPath, UNIT, nameOf(0), String(atOnce)];
  const child = spawn('/bin/sh', ['-c', enter, cgroup, ...helper], { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  // Writes after the helper's end fail; the helper reports its error on standard error.
  child.stdin.on('error', () => undefined);
  scope.after(() => {
    child.stdin.end();
    return ended;
  });
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  const ready = lines.next();
  return async () => {
    await ready;
    const cpuMs = cpuMsOf(pid);
    child.stdin.write(`${seconds}\n`);
    const { value = '', done } = await lines.next();
    if (done === true) throw new Error('the helper ended');
    const [count = 0, took = 0, used = 0, median = 0, bytes = 0] = value.split(' ').map(Number);
    if (bytes !== valueOf(0).length)
      throw new Error(`a value of ${valueOf(0).length} bytes was to come, not of ${bytes}`);
    return {
      rate: count / took,
      median,
      helperPart: (100 * used) / took,
      serverPart: (cpuMsOf(pid) - cpuMs) / 10 / took,
    };
  };
}
