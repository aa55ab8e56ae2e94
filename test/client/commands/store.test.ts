import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, describe, it } from 'node:test';
import { EXIT } from '../../../src/errors.ts';
import type { CioOptions } from '../../support/cio.ts';
import { startDaemon } from '../../support/daemon.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { Harness } from './harness.ts';

const harness = await Harness.start({ after });

describe('cio credential status, lock, unlock and slot', () => {
  it('open the store by key file, passphrase and recovery code', async (t) => {
    const own = await startDaemon(t);
    const options = { socketPath: own.socketPath };
    const at = (stdin: string): CioOptions => ({ ...options, stdin });
    const told = async (...words: string[]): Promise<string> => (await harness.run(words, options)).stderr;
    await harness.succeed(['create', 'kept', 'value'], options);
    assert.match(await harness.succeed(['status'], options), /^Store +open$/m);
    const status = (await harness.json(['status'], options)) as Record<string, unknown>;
    assert.deepEqual([status['locked'], status['administrator'], status['socket']], [false, true, own.socketPath]);

    // The key file opens the store unattended.
    assert.equal(await told('lock'), 'Succeed: Lock: The store is locked\n');
    assert.match(await harness.succeed(['status'], options), /^Store +locked; open it with cio credential unlock$/m);
    assert.match(await harness.fail(EXIT.locked, ['get', 'kept'], options), /cio credential unlock/);
    await harness.fail(EXIT.locked, ['list'], options);
    assert.match(await told('unlock'), /^Succeed: Unlock: The store is open \(slot [0-9a-f]+\)\n$/);

    // Then with a passphrase and a recovery code, and without the key file.
    await harness.fail(EXIT.invalid, ['slot', 'add', 'passphrase'], at(''));
    await harness.fail(EXIT.invalid, ['slot', 'add', 'passphrase'], at('o\0p\0e\0n\0\n'));
    const { slot } = (await harness.json(['slot', 'add', 'passphrase', '--label', 'mine'], at('open sesame\n'))) as {
      slot: { id: string };
    };
    const recovery = await harness.run(['slot', 'add', 'recovery'], options);
    assert.match(recovery.stderr, /shown only once/);
    const code = recovery.stdout.trim();
    assert.match(code, /^[A-Z0-9-]{20,}$/i);
    const { slots } = (await harness.json(['slot', 'list'], options)) as {
      slots: { id: string; kind: string; label?: string }[];
    };
    assert.deepEqual(slots.map(({ kind }) => kind).toSorted(), ['keyfile', 'passphrase', 'recovery']);
    assert.equal(slots.find(({ id }) => id === slot.id)?.label, 'mine');
    assert.match(await harness.succeed(['slot', 'ls'], options), /^ID +KIND +CREATED +LABEL$/m);
    const keyfile = slots.find(({ kind }) => kind === 'keyfile')?.id ?? '';
    await harness.fail(EXIT.usage, ['slot', 'remove', keyfile], options);
    await harness.succeed(['slot', 'remove', keyfile, '--yes'], options);
    for (const absent of [keyfile, 'a']) {
      const told = await harness.fail(EXIT.notFound, ['slot', 'remove', absent, '--yes'], options);
      assert.match(told, /no slot with this id\nHint: cio credential slot list shows them\n$/);
    }

    await harness.succeed(['lock'], options);
    assert.match(await harness.fail(EXIT.invalid, ['unlock'], at('')), /is empty\nHint: run it on a terminal /);
    await harness.fail(EXIT.accessDenied, ['unlock'], at('wrong\n'));
    await harness.succeed(['unlock'], at('open sesame\n'));
    await harness.succeed(['lock'], options);
    assert.match(await harness.fail(EXIT.accessDenied, ['unlock', '--recovery'], at(`${code.slice(0, -1)}\n`)), /code/);
    await harness.succeed(['unlock', '--recovery'], at(`${code}\n`));
    assert.equal(await harness.succeed(['get', 'kept'], options), 'value');

    // The last slot cannot be removed.
    await harness.succeed(['slot', 'remove', slot.id, '--yes'], options);
    const last = ((await harness.json(['slot', 'list'], options)) as { slots: { id: string }[] }).slots[0]?.id ?? '';
    assert.match(await harness.fail(EXIT.failed, ['slot', 'remove', last, '--yes'], options), /last slot/);
    await own.stop();
  });

  it('adds a key file by a relative path', async (t) => {
    const own = await startDaemon(t);
    const cwd = temporaryDirectory(t);
    await harness.succeed(['slot', 'add', 'keyfile', 'second.key'], { socketPath: own.socketPath, cwd });
    assert.equal(fs.statSync(path.join(cwd, 'second.key')).mode & 0o777, 0o600);
    const again = await harness.fail(EXIT.invalid, ['slot', 'add', 'keyfile', 'second.key'], {
      socketPath: own.socketPath,
      cwd,
    });
    assert.match(again, /: cannot make the key file \S+: it already exists \(EEXIST\)\nHint: give it a new name, /);
    const nowhere = path.join(cwd, 'nowhere', 'key');
    assert.match(
      await harness.fail(EXIT.invalid, ['slot', 'add', 'keyfile', nowhere], { socketPath: own.socketPath }),
      /: cannot make the key file \S+: its folder does not exist \(ENOENT\)\nHint: /,
    );
    await harness.fail(EXIT.usage, ['slot', 'add', 'keyfile', ''], { socketPath: own.socketPath });
    const bad = await harness.fail(EXIT.invalid, ['slot', 'add', 'systemd', 'no name'], { socketPath: own.socketPath });
    assert.match(bad, /: the credential: it is not a name of a systemd credential\n$/);
    await own.stop();
  });
});

describe('cio credential fsck and rekey', () => {
  it('find nothing wrong with an intact store', async () => {
    const { stdout, stderr } = await harness.run(['fsck']);
    assert.equal(stdout, '');
    assert.match(stderr, /^Succeed: Check store: \d+ records, all of them good\n$/);
    assert.match((await harness.run(['rekey'])).stderr, /^Succeed: Rekey: \d+ records sealed with data key 2\n$/);
    const reply = (await harness.json(['fsck'])) as { problems: unknown[]; repaired: boolean };
    assert.deepEqual(reply.problems, []);
  });

  it('exit with 10 for a damaged store, and repair it', async (t) => {
    const own = await startDaemon(t);
    const options = { socketPath: own.socketPath };
    for (const name of ['first', 'second', 'third'])
      await harness.succeed(['create', name, `value of ${name}`.padEnd(2000, '.')], options);
    await own.stop();
    await damageOneRow(path.join(own.stateDirectory, 'credentials.db'));
    const again = await startDaemon(t, own);
    const { code, stdout, stderr } = await harness.run(['fsck'], options);
    assert.equal(code, EXIT.damaged, stderr);
    assert.match(stdout, /^PROBLEM +NAME +VERSION +DETAIL\n/);
    assert.match(stderr, /^1 problem in \d+ records\. --repair/);
    assert.equal((await harness.run(['fsck', '--json'], options)).code, EXIT.damaged);
    await harness.fail(EXIT.usage, ['fsck', '--repair'], options);
    const repaired = await harness.run(['fsck', '--repair', '--yes'], options);
    assert.equal(repaired.stderr, 'Succeed: Check store: 1 problem repaired\n');
    assert.equal((await harness.run(['fsck'], options)).code, EXIT.done);
    await again.stop();
  });
});

/** Changes one byte in the middle of the largest row. */
async function damageOneRow(file: string): Promise<void> {
  const { default: Database } = await import('better-sqlite3');
  const database = new Database(file);
  const row = database.prepare('SELECT kind, tag, body FROM record ORDER BY length(body) DESC LIMIT 1').get() as {
    kind: number;
    tag: Buffer;
    body: Buffer;
  };
  row.body[row.body.length >> 1] = (row.body[row.body.length >> 1] ?? 0) ^ 1;
  database.prepare('UPDATE record SET body = ? WHERE kind = ? AND tag = ?').run(row.body, row.kind, row.tag);
  database.close();
}
