import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { EXIT } from '../../src/errors.ts';
import type { Scope } from '../support/scope.ts';
import { DAEMON_SOURCE, startDaemon } from '../support/daemon.ts';
import { run } from '../support/process.ts';
import { root, skipUnless } from '../support/requirements.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { rowsOf, zeroPage } from './vault/raw-file.ts';

const SOMEBODY = 3001;

/** Makes a store, and moves it to `old` in its state directory. */
async function movedStore(scope: Scope): Promise<{ readonly directory: string; readonly damaged: string }> {
  const daemon = await startDaemon(scope);
  await daemon.stop();
  const directory = daemon.stateDirectory;
  fs.mkdirSync(path.join(directory, 'old'), { mode: 0o700 });
  const damaged = path.join(directory, 'old', 'credentials.db');
  fs.renameSync(path.join(directory, 'credentials.db'), damaged);
  return { directory, damaged };
}

async function salvage(directory: string, ...words: string[]): Promise<{ code: number | null; said: string }> {
  const { code, stderr } = await run([...DAEMON_SOURCE, '--state-dir', directory, '--salvage', ...words]);
  return { code, said: stderr };
}

describe('cio-credentiald --salvage', () => {
  it('makes a private store, and prints what to do next', async (t) => {
    const { directory, damaged } = await movedStore(t);
    const file = path.join(directory, 'credentials.db');
    const { code, said } = await salvage(directory, damaged);
    assert.equal(code, EXIT.done, said);
    assert.match(said, new RegExp(`made ${file} from the \\d+ records .* fsck --repair\n$`));
    assert.doesNotMatch(said, /warning/);
    assert.equal(fs.statSync(file).mode & 0o777, 0o600);
    assert.deepEqual(rowsOf(file), rowsOf(damaged));
    // An existing store must not be overwritten: it soon has more than the damaged one.
    const again = await salvage(directory, damaged);
    assert.deepEqual([again.code, /cannot salvage the store: .* exists already/.test(again.said)], [EXIT.failed, true]);
    const daemon = await startDaemon(t, { stateDirectory: directory });
    assert.match((await salvage(directory, damaged)).said, /held by another cio-credentiald/);
    await daemon.stop();
  });

  it("makes no store beside a leftover WAL, and reports that the damaged store's WAL is lost", async (t) => {
    const { directory, damaged } = await movedStore(t);
    const wal = path.join(directory, 'credentials.db-wal');
    fs.writeFileSync(wal, 'not a WAL');
    const refused = await salvage(directory, damaged);
    assert.deepEqual([refused.code, /credentials\.db-wal exists already/.test(refused.said)], [EXIT.failed, true]);
    fs.renameSync(wal, `${damaged}-wal`);
    const { code, said } = await salvage(directory, damaged);
    assert.equal(code, EXIT.done, said);
    assert.match(said, /credentials\.db-wal is damaged or cannot be read: a part of its contents, or all, may be lost/);
  });

  it('refuses a file that a daemon has open and may checkpoint meanwhile', async (t) => {
    const daemon = await startDaemon(t);
    const live = path.join(daemon.stateDirectory, 'credentials.db');
    const directory = temporaryDirectory(t);
    const { code, said } = await salvage(directory, live);
    assert.equal(code, EXIT.failed);
    assert.match(said, /credentials\.db is held by another process/);
    assert.ok(!fs.existsSync(path.join(directory, 'credentials.db')));
    await daemon.stop();
  });

  it('refuses a store without its keys, unless a copy has them', async (t) => {
    const { directory, damaged } = await movedStore(t);
    const copy = path.join(temporaryDirectory(t), 'copy.db');
    fs.copyFileSync(damaged, copy);
    // The only page of such a small table.
    zeroPage(damaged, 2);
    const { code, said } = await salvage(directory, damaged);
    assert.equal(code, EXIT.damaged);
    assert.match(said, /^cio-credentiald: error: cannot salvage the store: the id of the store .*--keys-from\n$/);
    assert.ok(!fs.existsSync(path.join(directory, 'credentials.db')));
    assert.equal((await salvage(directory, damaged, '--keys-from', copy)).code, EXIT.done);
    const daemon = await startDaemon(t, { stateDirectory: directory });
    assert.match(daemon.log, /the store is open/);
    await daemon.stop();
  });

  it('becomes the owner of the state directory, who is to own the new store', { skip: skipUnless(root) }, async (t) => {
    const { directory, damaged } = await movedStore(t);
    for (const name of ['.', 'lock']) fs.chownSync(path.join(directory, name), SOMEBODY, SOMEBODY);
    // The directory that the operator made belongs to root, and is closed.
    assert.equal((await salvage(directory, damaged)).code, EXIT.done);
    const { uid, gid, mode } = fs.statSync(path.join(directory, 'credentials.db'));
    assert.deepEqual([uid, gid, mode & 0o777], [SOMEBODY, SOMEBODY, 0o600]);
  });
});
