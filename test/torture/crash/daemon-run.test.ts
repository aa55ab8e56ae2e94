import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { STORE_FILE } from '../../daemon/vault/open-vault.ts';
import { skipUnless, tracer } from '../../support/requirements.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { DaemonRun } from './daemon-run.ts';
import type { Moment } from './daemon-run.ts';

function places(t: TestContext): { readonly state: string; readonly run: string } {
  const directory = temporaryDirectory(t);
  return { state: path.join(directory, 'state'), run: path.join(directory, 'run') };
}

/** Runs a daemon that cannot start, as something else lies in the place of its store. */
async function endedDaemon(t: TestContext, dieBefore?: Moment): Promise<DaemonRun> {
  const directories = places(t);
  mkdirSync(directories.state, { mode: 0o700 });
  writeFileSync(path.join(directories.state, STORE_FILE), 'no store at all');
  const daemon = new DaemonRun(t, directories, { dieBefore });
  assert.equal(await daemon.ready(), undefined);
  return daemon;
}

describe('DaemonRun', () => {
  it('reports how a daemon ended by itself, and its last output', async (t) => {
    const { failure, account, isKilled } = await endedDaemon(t);
    assert.match(failure ?? '', /^it ended with exit code [1-9]\d*: .*cannot start/);
    assert.equal(account, failure);
    assert.equal(isKilled, false);
  });

  it('reports it also for a daemon under a tracer that was to kill it', { skip: skipUnless(tracer) }, async (t) => {
    const { failure } = await endedDaemon(t, { call: 'fsync', count: 100 });
    assert.match(failure ?? '', /^it ended with exit code [1-9]\d*: .*cannot start/);
  });

  it('kills a daemon whose tracer has only just started', { skip: skipUnless(tracer), timeout: 60_000 }, async (t) => {
    for (let times = 0; times < 20; times += 1) {
      const daemon = new DaemonRun(t, places(t), { dieBefore: { call: 'pwrite64', count: 60_000 } });
      await daemon.kill();
      assert.equal(daemon.hasEnded, true);
    }
  });

  it('knows whether a daemon died at the chosen moment', { skip: skipUnless(tracer) }, async (t) => {
    const early = new DaemonRun(t, places(t), { dieBefore: { call: 'pwrite64', count: 1 } });
    assert.equal(await early.ready(), undefined);
    assert.deepEqual([early.failure, early.isKilled], [undefined, false]);

    const late = new DaemonRun(t, places(t), { dieBefore: { call: 'pwrite64', count: 60_000 } });
    const client = await late.ready();
    assert.equal(await late.kill(), undefined);
    assert.equal(late.isKilled, true);
    client?.close();
  });
});
