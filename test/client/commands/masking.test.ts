import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { after, describe, it } from 'node:test';
import { skipUnless } from '../../support/requirements.ts';
import type { Scope } from '../../support/scope.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { quoted, TERMINAL, TerminalProgram } from '../terminal.ts';
import { Harness } from './harness.ts';

const harness = await Harness.start({ after });

describe('cio credential exec on a terminal', { skip: skipUnless(TERMINAL) }, () => {
  const SECRET = 'kept/from+the"screen';

  /** Runs a shell script under `exec` for a set with {@link SECRET} as its password. */
  async function start(
    scope: Scope,
    script: string,
    options: { readonly set?: string; readonly words?: string; readonly around?: string } = {},
  ): Promise<TerminalProgram> {
    const set = options.set ?? (await harness.storeSet({ backup_password: SECRET }));
    const cio = harness.built.map(quoted).join(' ');
    const line = `${cio} credential exec ${set} ${options.words ?? ''} -- sh -c ${quoted(script)}`;
    return new TerminalProgram(
      scope,
      (options.around ?? '%').replace('%', () => line),
      harness.environment,
    );
  }

  it('masks secrets on both outputs, also if they are written in pieces, and exits as the command does', async (t) => {
    const script =
      'echo "out $RESTIC_PASSWORD"; echo "err $RESTIC_PASSWORD" >&2; printf kept/from; printf "+the\\"screen\\n"; exit 7';
    const program = await start(t, script);
    assert.equal(await program.exit(), 7);
    assert.equal(program.screen, 'out <masked>\r\nerr <masked>\r\n<masked>\r\n');
  });

  it('gives the command a terminal of its own that follows the size of the outer one', async (t) => {
    const ready = path.join(temporaryDirectory(t), 'ready');
    const script = `test -t 0 && test -t 1 && test -t 2 && echo all; test "$(tty)" != "$OUTER" && echo own; stty size; trap "stty size; exit" WINCH; echo ready; : > ${ready}; while :; do sleep 0.05; done`;
    const resize = `(until [ -e ${ready} ]; do sleep 0.05; done; stty rows 41 cols 121 < "$OUTER") &`;
    const program = await start(t, script, {
      around: `export OUTER="$(tty)"; stty rows 31 cols 97; ${resize} %`,
    });
    await program.shows('41 121');
    assert.equal(await program.exit(), 0);
    assert.match(program.screen, /^all\r\nown\r\n31 97\r\nready\r\n41 121\r\n$/);
  });

  it('shows a prompt that may be the beginning of a secret, and passes input on', async (t) => {
    const program = await start(t, 'printf "What is kept/"; read -r answer; echo "it is $answer"');
    await program.shows('What is kept/');
    program.type('nothing\r');
    assert.equal(await program.exit(), 0);
    assert.match(program.screen, /it is nothing\r\n$/);
  });

  it('passes Ctrl-C on to the command, and restores the terminal however it ends', async (t) => {
    // With a trap: dash loses a SIGINT that arrives just before it executes the last command of its line.
    const script = 'trap "trap - INT; kill -INT $$" INT; echo ready; while :; do sleep 0.05; done';
    const program = await start(t, script, { around: '%; echo "code $?"; stty -a' });
    await program.shows('ready');
    program.type('\u0003');
    await program.shows('code 130');
    await program.exit();
    assert.match(program.screen, /^isig icanon iexten echo /m);
    const killed = await start(t, 'kill -KILL $$', { around: '%; stty -a' });
    await killed.exit();
    assert.match(killed.screen, /^isig icanon iexten echo /m);
    const terminated = await start(t, 'kill -TERM $PPID; sleep 20', { around: '%; echo "code $?"; stty -a' });
    await terminated.exit();
    assert.match(terminated.screen, /code 143\r\n[^]*\nisig icanon iexten echo /);
    const alarmed = await start(t, 'kill -ALRM $PPID; sleep 20', { around: '%; echo "code $?"; stty -a' });
    await alarmed.exit();
    assert.match(alarmed.screen, /code 142\r\n[^]*\nisig icanon iexten echo /);
  });

  it('passes on a SIGINT that does not come from the terminal', async (t) => {
    const program = await start(t, 'trap "echo told; exit 9" INT; kill -INT $PPID; while :; do sleep 0.05; done');
    await program.shows('told');
    assert.equal(await program.exit(), 9);
  });

  it('restores the terminal even if a signal arrives when the command has just ended', async (t) => {
    for (const signal of ['TERM', 'USR2']) {
      const script = `trap "" HUP; (sleep 0.1; kill -${signal} $PPID) & exit 3`;
      const program = await start(t, script, { around: '%; echo "code $?"; stty -a' });
      await program.exit();
      assert.match(program.screen, /code 3\r\n[^]*\nisig icanon iexten echo /);
    }
  });

  it("sets raw mode again when continued after a shell has changed the terminal's modes", async (t) => {
    const isRaw = 'stty -a < "$OUTER" | grep -q -e -icanon';
    const script = `kill -STOP $PPID; stty sane < "$OUTER"; kill -CONT $PPID; until ${isRaw}; do sleep 0.05; done`;
    const program = await start(t, `${script}; stty -a < "$OUTER"; exit 7`, {
      around: 'export OUTER="$(tty)"; %; echo "code $?"; stty -a',
    });
    await program.shows('code 7');
    await program.exit();
    assert.match(program.screen, /-isig -icanon -iexten -echo [^]*code 7\r\n[^]*\nisig icanon iexten echo /);
  });

  it('leaves a pipe on either side unmasked, and masks what goes to the terminal', async (t) => {
    const script = 'cat; echo "out $RESTIC_PASSWORD"; echo "err $RESTIC_PASSWORD" >&2';
    const program = await start(t, script, { around: 'echo in | % | tr a-z A-Z' });
    assert.equal(await program.exit(), 0);
    assert.deepEqual(program.screen.split('\r\n').toSorted(), [
      '',
      'IN',
      `OUT ${SECRET.toUpperCase()}`,
      'err <masked>',
    ]);
    const typed = await start(t, 'cat; echo "out $RESTIC_PASSWORD"', { around: 'echo in | %' });
    assert.equal(await typed.exit(), 0);
    assert.equal(typed.screen, 'in\r\nout <masked>\r\n');
  });

  it('becomes the command with --no-masking', async (t) => {
    const program = await start(t, 'echo "$$ $RESTIC_PASSWORD"', { words: '--no-masking', around: 'echo $$; exec %' });
    assert.equal(await program.exit(), 0);
    assert.match(program.screen, /^(\d+)\r\n\1 kept/);
  });

  it('lets a command run on that closes its standard streams', async (t) => {
    const done = path.join(temporaryDirectory(t), 'done');
    // A SIGHUP would end it during its sleep.
    const program = await start(t, `exec <&- >&- 2>&-; sleep 0.5; : > ${done}; exit 5`);
    assert.equal(await program.exit(), 5, program.screen);
    assert.ok(existsSync(done));
  });

  it('does not wait for processes that the command leaves running', async (t) => {
    const program = await start(t, 'trap "" HUP; sleep 60 & echo $!');
    assert.equal(await program.exit(), 0);
    assert.match(program.screen, /^\d+\r\n$/);
    // Throws if the process no longer exists.
    process.kill(Number(program.screen), 'SIGKILL');
  });

  it('masks together with --server', async (t) => {
    const program = await start(t, 'echo "$RESTIC_PASSWORD ${AWS_SECRET_ACCESS_KEY-none}"', { words: '--server' });
    assert.equal(await program.exit(), 0);
    assert.equal(program.screen, '<masked> none\r\n');
  });

  it('masks keys that --server gives later, and the token with which the command requests them', async (t) => {
    const set = await harness.storeSet({ secret_key: 'first-key', session_token: 'first-token' });
    const ask = `
      const { AWS_CONTAINER_CREDENTIALS_FULL_URI: url, AWS_CONTAINER_AUTHORIZATION_TOKEN: authorization } = process.env;
      const { SecretAccessKey, Token } = await (await fetch(url, { headers: { authorization } })).json();
      console.log(SecretAccessKey, Token, authorization);`;
    const asking = [process.execPath, '--input-type=module', '--eval', ask].map(quoted).join(' ');
    const program = await start(t, `${asking}; read -r _; ${asking}`, { set, words: '--server' });
    const masked = '<masked> <masked> <masked>\r\n';
    await program.shows(masked);
    await harness.store('second-key', `cio_${set}_secret_key`);
    await harness.store('second-token', `cio_${set}_session_token`);
    program.type('\r');
    assert.equal(await program.exit(), 0);
    assert.equal(program.screen, `${masked}\r\n${masked}`);
  });
});
