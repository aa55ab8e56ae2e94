import assert from 'node:assert/strict';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { describe, it } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { NEVER } from '../../../daemon/emitter.ts';
import { Prober } from '../../../daemon/probe/prober.ts';
import { END_TIME_MAX_MS, ProberMissingError, connectProber, spawnProber } from '../../../daemon/probe/start-prober.ts';
import type { ProberConnection } from '../../../daemon/probe/start-prober.ts';
import { JOB_BYTES_MAX } from '../../../daemon/prober/limits.ts';
import type { Finding, ProbeJob } from '../../../src/validation.ts';
import { eventually } from '../../support/eventually.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

/** A set without a server: nobody listens on port 9 (discard). */
const JOB: ProbeJob = {
  set: 'minio',
  provider: 'minio',
  values: {
    backup_repo: 's3:http://127.0.0.1:9/bucket',
    access_key: 'access',
    secret_key: 'the-secret-key',
    backup_password: 'the-password',
  },
  restoreOnly: false,
  makeBucket: false,
};

/** Returns the pids of this process's running children. */
function children(): number[] {
  const ids = fs.readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8').split(' ');
  return ids.filter((id) => id !== '').map(Number);
}

/** Starts a prober as a child of this process. */
async function startOne(): Promise<{ readonly connection: ProberConnection; readonly pid: number }> {
  const before = new Set(children());
  const connection = await spawnProber()();
  const [pid] = children().filter((id) => !before.has(id));
  assert.ok(pid !== undefined);
  return { connection, pid };
}

async function findings(prober: Prober): Promise<Finding[]> {
  const found: Finding[] = [];
  for await (const finding of prober.probe(JOB, { uid: 0, isAdministrator: true }, NEVER)) found.push(finding);
  return found;
}

describe('spawnProber()', () => {
  it('starts the real prober, which runs the job and ends', async () => {
    const found = await findings(new Prober(spawnProber()));
    assert.deepEqual(
      found.slice(0, 2).map(({ check, state, reason }) => [check, state, reason]),
      [
        ['resolve', 'passed', undefined],
        ['connect', 'failed', 'connection_refused'],
      ],
    );
    assert.ok(found.slice(2).every(({ state }) => state === 'skipped'));
  });

  it('lets it leave no core dump, which would contain the keys that it is given', async () => {
    const { connection, pid } = await startOne();
    const limits = fs.readFileSync(`/proc/${pid}/limits`, 'utf8');
    const [, soft, hard] = /^Max core file size +(\w+) +(\w+)/m.exec(limits) ?? [];
    assert.ok(['0', '1'].includes(hard ?? '') && soft === hard, `${soft} of ${hard}`);
    connection.end();
  });

  it('gives it the lowest priority', async () => {
    const { connection, pid } = await startOne();
    assert.equal(os.getPriority(pid), os.constants.priority.PRIORITY_LOW);
    connection.end();
  });

  it('lets it end by itself when told to', async (t) => {
    const { connection, pid } = await startOne();
    t.mock.timers.enable({ apis: ['setTimeout'] });
    connection.end();
    await eventually(() => !children().includes(pid));
  });

  it('kills one that does not end in time', async (t) => {
    const { connection, pid } = await startOne();
    process.kill(pid, 'SIGSTOP');
    t.mock.timers.enable({ apis: ['setTimeout'] });
    connection.end();
    t.mock.timers.tick(END_TIME_MAX_MS - 1);
    assert.ok(children().includes(pid));
    t.mock.timers.tick(1);
    await eventually(() => !children().includes(pid));
  });

  it('survives one that ends before it has read its job', async () => {
    const { connection, pid } = await startOne();
    connection.send('x'.repeat(4 * JOB_BYTES_MAX));
    for await (const _chunk of connection.chunks) assert.fail('it has nothing to say');
    await eventually(() => !children().includes(pid));
    connection.end();
  });
});

describe('connectProber()', () => {
  it('throws ProberMissingError if nobody listens', async (t) => {
    const start = connectProber(path.join(temporaryDirectory(t), 'probe'));
    await assert.rejects(start(), ProberMissingError);
  });

  for (const [what, serve] of [
    ['ends', (socket: net.Socket) => socket.end()],
    ['ends with something unread', (socket: net.Socket) => socket.destroy()],
  ] as const) {
    it(`treats a connection that ${what} as a prober that failed`, async (t) => {
      const file = path.join(temporaryDirectory(t), 'probe');
      const server = net.createServer(serve);
      await new Promise<void>((resolve) => server.listen(file, resolve));
      t.after(() => void server.close());
      assert.deepEqual(await findings(new Prober(connectProber(file))), [
        { check: 'resolve', state: 'failed', reason: 'prober_failed' },
      ]);
    });
  }

  it('survives one that ends before it has read its job', async (t) => {
    const file = path.join(temporaryDirectory(t), 'probe');
    const { promise: refused, resolve } = Promise.withResolvers<void>();
    const server = net.createServer((socket) => socket.once('close', resolve).destroy());
    await new Promise<void>((listening) => server.listen(file, listening));
    t.after(() => void server.close());
    const connection = await connectProber(file)();
    connection.send('x'.repeat(JOB_BYTES_MAX));
    await refused;
    for (let turn = 0; turn < 20; turn += 1) await nextTurn();
    connection.end();
  });
});
