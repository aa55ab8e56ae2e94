import assert from 'node:assert/strict';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { describe, it } from 'node:test';
import { NEVER_GONE } from '../../../daemon/gone.ts';
import { Prober } from '../../../daemon/probe/prober.ts';
import { ProberMissingError, connectProber, spawnProber } from '../../../daemon/probe/start-prober.ts';
import type { Finding, ProbeJob } from '../../../src/validation.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

/** A set whose server is not there: port 9 is for what nobody serves. */
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

/** The processes that this one has started and that run. */
function children(): number[] {
  const ids = fs.readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8').split(' ');
  return ids.filter((id) => id !== '').map(Number);
}

async function findings(prober: Prober): Promise<Finding[]> {
  const found: Finding[] = [];
  for await (const finding of prober.probe(JOB, { uid: 0, isAdministrator: true }, NEVER_GONE)) found.push(finding);
  return found;
}

describe('spawnProber()', () => {
  it('starts the prober itself, which looks and ends', async () => {
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

  it('lets others first', async () => {
    const before = new Set(children());
    const connection = await spawnProber()();
    const priorities = children()
      .filter((pid) => !before.has(pid))
      .map((pid) => os.getPriority(pid));
    connection.end();
    assert.deepEqual(priorities, [os.constants.priority.PRIORITY_LOW]);
  });
});

describe('connectProber()', () => {
  it('says that there is none where nobody listens', async (t) => {
    const start = connectProber(path.join(temporaryDirectory(t), 'probe'));
    await assert.rejects(start(), ProberMissingError);
  });

  for (const [what, serve] of [
    ['ends', (socket: net.Socket) => socket.end()],
    ['ends with something unread', (socket: net.Socket) => socket.destroy()],
  ] as const) {
    it(`takes a connection that ${what} for a prober that failed`, async (t) => {
      const file = path.join(temporaryDirectory(t), 'probe');
      const server = net.createServer(serve);
      await new Promise<void>((resolve) => server.listen(file, resolve));
      t.after(() => void server.close());
      assert.deepEqual(await findings(new Prober(connectProber(file))), [
        { check: 'resolve', state: 'failed', reason: 'prober_failed' },
      ]);
    });
  }
});
