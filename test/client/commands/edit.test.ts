import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, describe, it } from 'node:test';
import { EXIT } from '../../../src/errors.ts';
import { eventually } from '../../support/eventually.ts';
import { skipUnless } from '../../support/requirements.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { quoted, TERMINAL, TerminalProgram } from '../terminal.ts';
import { Harness } from './harness.ts';

const harness = await Harness.start({ after });

/** Makes an editor that runs a shell script with the file as `$1`, and returns the words for EDITOR. */
function editor(scope: { after(run: () => void): void }, script: string): string {
  const file = path.join(temporaryDirectory(scope), 'my editor');
  fs.writeFileSync(file, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  return `'${file}'`;
}

/** Folders that existed before this test: of other processes, or left by them. */
const LEFT_BEFORE = editFolders();

function leftovers(): string[] {
  return editFolders().filter((name) => !LEFT_BEFORE.includes(name));
}

function editFolders(): string[] {
  return fs.globSync('/dev/shm/cio-edit-*');
}

async function versionOf(name: string): Promise<number> {
  const { credentials } = (await harness.json(['list', name])) as { credentials: { name: string; version: number }[] };
  return credentials.find((credential) => credential.name === name)?.version ?? 0;
}

/** The requirement of a memory folder, which `edit` needs for a caller without XDG_RUNTIME_DIR. */
function memoryFolder(): string | undefined {
  try {
    fs.accessSync('/dev/shm', fs.constants.W_OK);
    return undefined;
  } catch {
    return 'a /dev/shm that can be written to';
  }
}

describe('cio credential edit', { skip: skipUnless(memoryFolder) }, () => {
  it('shows the fields with their help in a file in memory, removes the file, and changes nothing by itself', async (t) => {
    const set = await harness.storeSet({ backup_password: 'two\nlines\n' });
    const copy = path.join(temporaryDirectory(t), 'copy');
    const script = `cat "$1" > ${copy}; stat -c '%a %n' "$1" "$(dirname "$1")" >> ${copy}; cp "$1" "$1~"`;
    const { code, stderr } = await harness.run(['edit', set], { env: { VISUAL: editor(t, script), EDITOR: 'false' } });
    assert.deepEqual([code, stderr], [EXIT.done, 'Edit cancelled, no changes made.\n']);
    const shown = fs.readFileSync(copy, 'utf8');
    assert.match(shown, /# Secret key \(required, secret\)\nsecret_key: SK\n/);
    assert.match(shown, /backup_password: \|\n {2}two\n {2}lines\n\n/);
    assert.match(shown, /# Region \(optional\), as in eu-central-1\n#region:\n/);
    assert.match(shown, /^600 \/dev\/shm\/cio-edit-\S+\/set\.yaml\n700 /m);
    assert.deepEqual(leftovers(), []);
  });

  it('stores the changed and added fields as new versions in one generation', async (t) => {
    const set = await harness.storeSet({ region: 'eu-central-1' });
    const script = `sed -i 's/^region: .*/region: us-west-1/; s/^#bucket:/bucket: "buck"/' "$1"`;
    const { stderr } = await harness.run(['edit', set], { env: { EDITOR: editor(t, script) } });
    assert.match(stderr, /Credential cio_\S+_region replaced, now version 2\n/);
    assert.match(stderr, /Credential cio_\S+_bucket saved\n/);
    assert.deepEqual([await versionOf(`cio_${set}_region`), await versionOf(`cio_${set}_access_key`)], [2, 1]);
  });

  it('returns invalid content to the editor with the reason on top, and fails if it stays invalid', async (t) => {
    const set = await harness.storeSet({ region: 'eu-central-1' });
    const mend = editor(
      t,
      `if grep -q 'NOT STORED: line .*regoin is not a field of the set; did you mean region' "$1"; then sed -i 's/regoin/region/' "$1"; else sed -i 's/^region: .*/regoin: us-west-2/' "$1"; fi`,
    );
    const { code, stderr } = await harness.run(['edit', set], { env: { EDITOR: mend } });
    assert.equal(code, EXIT.done, stderr);
    assert.equal(await harness.succeed(['get', `cio_${set}_region`]), 'us-west-2');
    for (const [script, message] of [
      [
        `sed -i '/^region/d' "$1"`,
        new RegExp(`the line of region is missing; .*cio credential remove cio_${set}_region`),
      ],
      [
        `sed -i 's/^secret_key: .*/secret_key: "can ary/' "$1"`,
        /line \d+: a quote, bracket, comma or line end is missing/,
      ],
      [`sed -i 's/^secret_key: .*/secret_key:/' "$1"`, /line \d+: secret_key has no value/],
      [`echo nothing > "$1"`, /line 1: it is not FIELD: VALUE/],
      [': > "$1"', /the line of .* is missing/],
    ] as const) {
      const failure = await harness.fail(EXIT.invalid, ['edit', set], { env: { EDITOR: editor(t, script) } });
      assert.match(failure, message);
      assert.doesNotMatch(failure, /can ary/);
    }
    assert.equal(await versionOf(`cio_${set}_secret_key`), 1);
  });

  it('changes nothing if the editor fails, is killed or removes the file', async (t) => {
    const set = await harness.storeSet();
    const gone = ['rm "$1"', 'rm -r "$(dirname "$1")"'];
    for (const script of ['sed -i s/SK/XX/ "$1"; exit 3', 'sed -i s/SK/XX/ "$1"; kill -9 $$', ...gone]) {
      assert.match(
        await harness.fail(EXIT.failed, ['edit', set], { env: { EDITOR: editor(t, script) } }),
        /nothing was changed/,
      );
    }
    const absent = await harness.fail(127, ['edit', set], { env: { EDITOR: '/nonexistent/editor' } });
    assert.match(absent, /: the editor: .*not found\nHint: set VISUAL or EDITOR/);
    assert.equal(await harness.succeed(['get', `cio_${set}_secret_key`]), 'SK');
    assert.deepEqual(leftovers(), []);
  });

  it('refuses to overwrite a change that another client made during the edit', async (t) => {
    const set = await harness.storeSet({ region: 'eu-central-1' });
    const other = [...harness.built, 'credential', 'create', `cio_${set}_prefix`, 'theirs'].map(quoted).join(' ');
    const { code, stderr } = await harness.run(['edit', set], {
      env: { EDITOR: editor(t, `sed -i 's/^region: .*/region: mine/' "$1"; ${other}`) },
    });
    assert.equal(code, EXIT.failed);
    assert.match(stderr, /it was changed in the meantime/);
    assert.equal(await harness.succeed(['get', `cio_${set}_region`]), 'eu-central-1');
  });

  it('offers on a terminal to edit again, based on the new state', { skip: skipUnless(TERMINAL) }, async (t) => {
    const set = await harness.storeSet({ region: 'eu-central-1' });
    const other = [...harness.built, 'credential', 'create', `cio_${set}_prefix`, 'theirs'].map(quoted).join(' ');
    const script = `if grep -q '^# The set was changed by somebody else: prefix' "$1"; then grep -q '^region: mine' "$1" && grep -q '^prefix: theirs' "$1"; else sed -i 's/^region: .*/region: mine/' "$1"; ${other}; fi`;
    const line = [...harness.built, 'credential', 'edit', set].map(quoted).join(' ');
    const program = new TerminalProgram(t, line, {
      CIO_CREDENTIAL_SOCKET: harness.daemon.socketPath,
      EDITOR: editor(t, script),
    });
    await program.shows('Open the editor again with what you typed? [y/N]');
    program.type('y\r');
    assert.equal(await program.exit(), EXIT.done, program.screen);
    assert.equal(await harness.succeed(['get', `cio_${set}_region`]), 'mine');
  });

  it('refuses to run a full-screen editor without a terminal', async (t) => {
    const set = await harness.storeSet({ secret_key: 'canary' });
    const folder = temporaryDirectory(t);
    const vim = path.join(folder, 'vim.basic');
    const others = ['nano', 'nano-tiny', 'nvi', 'nvim', 'vi', 'sensible-editor'].map((each) => path.join(folder, each));
    for (const file of [vim, ...others])
      fs.writeFileSync(file, '#!/bin/sh\nfor last; do :; done; cat "$last"; echo "$@"\n', { mode: 0o755 });
    const link = path.join(folder, 'my-editor');
    fs.symlinkSync(vim, link);
    for (const EDITOR of [vim, ...others, link]) {
      const message = await harness.fail(EXIT.usage, ['edit', set], { env: { EDITOR } });
      assert.match(message, /no terminal for the editor[^]*create NAME - --replace takes a value from a pipe/);
    }
    // Vim needs no terminal in Ex mode (-es).
    const { code, stdout } = await harness.run(['edit', set], { env: { EDITOR: `${vim} -es` } });
    assert.deepEqual([code, stdout.includes('canary')], [EXIT.done, true]);
    // Vim is told to keep no swap, backup or undo file.
    assert.match(stdout, /^-es -n -i NONE -c set nobackup nowritebackup noundofile \/dev\/shm\/cio-edit-/m);
  });

  it('edits one credential as plain text, and refuses one that is not text', async (t) => {
    const name = await harness.store('line 1\nline 2\n');
    await harness.succeed(['edit', name], { env: { EDITOR: editor(t, `sed -i 's/line 2/line two/' "$1"`) } });
    assert.equal(await harness.succeed(['get', name]), 'line 1\nline two\n');
    for (const script of [': > "$1"', 'rm "$1"; mkfifo "$1"']) {
      assert.match(
        await harness.fail(EXIT.invalid, ['edit', name], { env: { EDITOR: editor(t, script) } }),
        /it is empty/,
      );
    }
    const binary = await harness.store(Uint8Array.of(0xff, 0));
    const told = await harness.fail(EXIT.invalid, ['edit', binary], { env: { EDITOR: 'true' } });
    assert.match(told, /is not text\nHint: cio credential create \S+ - --replace --keep-newline < PATH\n$/);
    await harness.fail(EXIT.notFound, ['edit', 'no-such-thing'], { env: { EDITOR: 'true' } });
  });

  it('removes the file when a signal ends it', { skip: skipUnless(TERMINAL) }, async (t) => {
    const set = await harness.storeSet();
    const line = [...harness.built, 'credential', 'edit', set].map(quoted).join(' ');
    const waiting = editor(t, 'echo opened; exec sleep 60');
    const program = new TerminalProgram(t, `${line} & echo "pid $! "; wait $!`, {
      CIO_CREDENTIAL_SOCKET: harness.daemon.socketPath,
      EDITOR: waiting,
    });
    const pid = /\d+/.exec(await program.shows(/pid \d+ /))?.[0];
    await program.shows('opened');
    assert.equal(leftovers().length, 1);
    process.kill(Number(pid), 'SIGTERM');
    await eventually(() => leftovers().length === 0);
  });
});
