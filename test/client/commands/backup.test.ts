import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { after, describe, it } from 'node:test';
import { EXIT } from '../../../src/errors.ts';
import { startDaemon } from '../../support/daemon.ts';
import { run } from '../../support/process.ts';
import { skipUnless } from '../../support/requirements.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { mounting, smallDisk } from '../../daemon/store/small-disk.ts';
import { quoted } from '../terminal.ts';
import { GONE, Harness } from './harness.ts';

const harness = await Harness.start({ after });

describe('cio credential backup', () => {
  it('writes a copy with mode 0600 that a daemon can start with', async (t) => {
    const folder = temporaryDirectory(t);
    const file = path.join(folder, 'copy.db');
    const name = await harness.store('canary-in-the-backup');
    const { code, stdout, stderr } = await harness.run(['backup', file]);
    assert.deepEqual([code, stdout], [EXIT.done, '']);
    const bytes = fs.readFileSync(file);
    const hash = createHash('sha256').update(bytes).digest('hex');
    assert.ok(stderr.startsWith(`Succeed: Backup store: ${bytes.length} bytes copied, SHA-256 ${hash}\n`), stderr);
    assert.match(stderr, /Only this host's own key opens this copy.*cio credential slot add recovery/);
    assert.equal(fs.statSync(file).mode & 0o777, 0o600);
    assert.ok(!bytes.includes('canary-in-the-backup') && !bytes.includes(name));
    assert.deepEqual(fs.readdirSync(folder), ['copy.db']);
    const state = path.join(temporaryDirectory(t), 'state');
    fs.mkdirSync(state, { mode: 0o700 });
    fs.copyFileSync(file, path.join(state, 'credentials.db'));
    fs.copyFileSync(path.join(harness.daemon.stateDirectory, 'root.key'), path.join(state, 'root.key'));
    const other = await startDaemon(t, { stateDirectory: state });
    assert.equal(await harness.succeed(['get', name], { socketPath: other.socketPath }), 'canary-in-the-backup');
    await other.stop();
  });

  it('writes the bytes alone to standard output, and warns of no missing slot where there is a recovery slot', async (t) => {
    const own = await startDaemon(t);
    const options = { socketPath: own.socketPath };
    await harness.succeed(['slot', 'add', 'recovery'], options);
    const { code, stdoutBytes, stderr } = await harness.run(['backup', '-'], options);
    assert.equal(code, EXIT.done, stderr);
    assert.equal(stdoutBytes.toString('latin1', 0, 15), 'SQLite format 3');
    assert.doesNotMatch(stderr, /own key opens/);
    const report = (await harness.json(['backup', path.join(temporaryDirectory(t), 'x')], options)) as object;
    assert.deepEqual(Object.keys(report).toSorted(), ['bytes', 'file', 'opensElsewhere', 'sha256']);
    await own.stop();
  });

  it('fails if its reader closes the pipe early', async () => {
    const line = [...harness.built, 'credential', 'backup', '-'].map(quoted).join(' ');
    const script = `${GONE}; ${line}; echo "exit $?" >&2`;
    const { stderr } = await run(['/bin/bash', '--norc', '-c', script], { env: harness.environment });
    assert.match(stderr, /Failed: Backup store: the reader of standard output has gone\nexit 1\n/);
  });

  it('replaces a file only with --force, and leaves no partial copy', { skip: skipUnless(mounting) }, async (t) => {
    const folder = temporaryDirectory(t);
    const file = path.join(folder, 'copy.db');
    fs.writeFileSync(file, 'precious');
    assert.match(await harness.fail(EXIT.alreadyExists, ['backup', file]), /already exists/);
    fs.symlinkSync('copy.db', path.join(folder, 'link'));
    await harness.fail(EXIT.failed, ['backup', path.join(folder, 'link')]);
    await harness.fail(EXIT.failed, ['backup', path.join(folder, 'link'), '--force']);
    assert.equal(fs.readFileSync(file, 'utf8'), 'precious');
    await harness.succeed(['backup', file, '--force']);
    assert.equal(fs.readFileSync(file).toString('latin1', 0, 15), 'SQLite format 3');
    const disk = smallDisk(t, 4);
    assert.match(await harness.fail(EXIT.failed, ['backup', path.join(disk, 'copy.db')]), /ENOSPC/);
    assert.deepEqual(fs.readdirSync(disk), []);
    assert.equal((await harness.run(['backup', '-', '--json'])).code, EXIT.usage);
    await harness.fail(EXIT.usage, ['backup']);
  });
});
