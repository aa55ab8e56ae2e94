import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { after, describe, it } from 'node:test';
import { EXIT } from '../../../src/errors.ts';
import { startDaemon } from '../../support/daemon.ts';
import { skipUnless } from '../../support/requirements.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { TERMINAL, TerminalProgram, quoted } from '../terminal.ts';
import { Harness, UNTOLD } from './harness.ts';

const harness = await Harness.start({ after });

describe('cio credential restore', () => {
  it('describes a copy, and replaces the store with it', async (t) => {
    const file = path.join(temporaryDirectory(t), 'copy.db');
    const name = await harness.store('before');
    await harness.succeed(['backup', file]);
    await harness.store('after', name);
    const checked = await harness.run(['restore', file, '--dry-run']);
    assert.equal(checked.code, EXIT.done, checked.stderr);
    assert.match(checked.stderr, /^Succeed: Check copy: every record of the copy is good; nothing was changed\n/);
    assert.match(
      checked.stderr,
      /a copy of this store: \d+ credentials, last changed .* UTC \(.*\); restoring it undoes 1 change made since/,
    );
    assert.equal(await harness.succeed(['get', name]), 'after');
    assert.match(await harness.fail(EXIT.usage, ['restore', file]), /--yes/);
    const { code, stderr } = await harness.run(['restore', file, '--yes']);
    assert.equal(code, EXIT.done, stderr);
    const kept = path.join(harness.daemon.stateDirectory, 'credentials.db.before-restore');
    assert.ok(stderr.includes(`The previous store is in ${kept}`), stderr);
    assert.doesNotMatch(stderr, /slot add/);
    assert.equal(await harness.succeed(['get', name]), 'before');
    const report = (await harness.json(['restore', kept, '--yes'])) as Record<string, unknown>;
    assert.deepEqual([report['sameStore'], report['opensByItself'], report['kept']], [true, true, kept]);
    assert.equal(await harness.succeed(['get', name]), 'after');
  });

  it('replaces the store though its report cannot be written', async (t) => {
    const file = path.join(temporaryDirectory(t), 'copy.db');
    const name = await harness.store('before');
    await harness.succeed(['backup', file]);
    for (const untold of UNTOLD) {
      await harness.store('after', name);
      assert.equal((await harness.runAfter(untold, ['restore', file, '--yes'])).code, EXIT.done);
      assert.equal(await harness.succeed(['get', name]), 'before');
    }
  });

  it('asks on a terminal, and accepts only yes', { skip: skipUnless(TERMINAL) }, async (t) => {
    const file = path.join(temporaryDirectory(t), 'copy.db');
    const name = await harness.store('before');
    await harness.succeed(['backup', file]);
    await harness.store('after', name);
    const words = [...harness.built, 'credential', 'restore', file].map(quoted).join(' ');
    for (const [keys, exit, value] of [
      ['n\r', EXIT.failed, 'after'],
      ['\u0003', 130, 'after'],
      ['y\r', EXIT.done, 'before'],
    ] as const) {
      const program = new TerminalProgram(t, words, harness.environment);
      await program.shows('It is a copy of this store');
      await program.shows('Replace the present store with it? [y/N]');
      program.type(keys);
      assert.equal(await program.exit(), exit, program.screen);
      assert.equal(await harness.succeed(['get', name]), value);
    }
  });

  it(
    'shows the summary along with the question if standard error cannot be written',
    { skip: skipUnless(TERMINAL) },
    async (t) => {
      const file = path.join(temporaryDirectory(t), 'copy.db');
      await harness.succeed(['backup', file]);
      const words = [...harness.built, 'credential', 'restore', file].map(quoted).join(' ');
      const program = new TerminalProgram(t, `exec 2> /dev/full; ${words}`, harness.environment);
      await program.shows(/It is a copy of this store[^]*\n.*Replace the present store with it\? \[y\/N\]/);
      program.type('n\r');
      assert.equal(await program.exit(), EXIT.failed, program.screen);
      assert.equal(program.screen.match(/It is a copy/g)?.length, 1);
    },
  );

  it('moves a store to another host by its recovery code or passphrase, and says what to do there', async (t) => {
    const folder = temporaryDirectory(t);
    const file = path.join(folder, 'copy.db');
    const first = await startDaemon(t);
    const there = { socketPath: first.socketPath };
    await harness.succeed(['create', 'token', 'from the first host'], there);
    const code = (await harness.succeed(['slot', 'add', 'recovery'], there)).trim();
    await harness.succeed(['slot', 'add', 'passphrase'], { ...there, stdin: 'open sesame\n' });
    await harness.succeed(['backup', file], there);
    await first.stop();

    const second = await startDaemon(t);
    const here = { socketPath: second.socketPath };
    assert.match(
      await harness.fail(EXIT.accessDenied, ['restore', file, '--yes'], here),
      /no slot opens with that key, passphrase or code\nHint: a copy opens with what opened the store when it was made: .* --recovery /,
    );
    await harness.fail(EXIT.accessDenied, ['restore', file, '--yes'], { ...here, stdin: 'wrong\n' });
    await harness.fail(EXIT.accessDenied, ['restore', file, '--yes', '--recovery'], { ...here, stdin: 'A-B\n' });
    await harness.fail(EXIT.notFound, ['get', 'token'], here);
    const dry = await harness.run(['restore', file, '--dry-run'], { ...here, stdin: 'open sesame\n' });
    assert.equal(dry.code, EXIT.done, dry.stderr);
    assert.match(dry.stderr, /a copy of another store, [0-9a-f-]{36}: 1 credentials?/);
    const done = await harness.run(['restore', file, '--yes', '--recovery'], { ...here, stdin: `${code}\n` });
    assert.equal(done.code, EXIT.done, done.stderr);
    assert.match(done.stderr, /No slot opens the store unattended at the next start.*cio credential slot add keyfile/);
    assert.equal(await harness.succeed(['get', 'token'], here), 'from the first host');
    await harness.succeed(['slot', 'add', 'keyfile', path.join(second.stateDirectory, 'second.key')], here);
    await second.stop();
    const again = await startDaemon(t, second);
    assert.equal(await harness.succeed(['get', 'token'], { socketPath: again.socketPath }), 'from the first host');
    await again.stop();
  });

  it('does not wait for a writer of a FIFO', async (t) => {
    const pipe = path.join(temporaryDirectory(t), 'pipe');
    execFileSync('mkfifo', [pipe]);
    assert.match(await harness.fail(EXIT.failed, ['restore', pipe, '--dry-run']), /is not a regular file/);
  });

  it('refuses a file that is no copy, and says why', async (t) => {
    const folder = temporaryDirectory(t);
    const file = path.join(folder, 'copy.db');
    const name = await harness.store('untouched');
    await harness.succeed(['backup', file]);
    const copy = fs.readFileSync(file);
    const cases: readonly (readonly [string, Uint8Array, RegExp])[] = [
      ['empty', new Uint8Array(0), /not a copy of a store/],
      ['text', Buffer.from('hello'), /not a copy of a store/],
      ['cut', copy.subarray(0, copy.length / 2), /the copy is damaged/],
    ];
    for (const [what, bytes, message] of cases) {
      const wrong = path.join(folder, what);
      fs.writeFileSync(wrong, bytes);
      assert.match(await harness.fail(EXIT.invalid, ['restore', wrong, '--yes']), message);
    }
    assert.match(await harness.fail(EXIT.failed, ['restore', path.join(folder, 'nothing'), '--yes']), /ENOENT/);
    assert.match(await harness.fail(EXIT.failed, ['restore', folder, '--yes']), /not a regular file/);
    assert.equal(await harness.succeed(['get', name]), 'untouched');
  });
});
