import assert from 'node:assert/strict';
import { chmodSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { EXIT } from '../../../src/errors.ts';
import { startDaemon } from '../../support/daemon.ts';
import { command, root, skipUnless } from '../../support/requirements.ts';
import { quoted, TERMINAL, TerminalProgram } from '../terminal.ts';
import { Harness, newName, newSetName } from './harness.ts';

const harness = await Harness.start({ after });

describe('cio on a terminal', { skip: skipUnless(TERMINAL) }, () => {
  const cioLine = (...words: string[]): string => [...harness.built, 'credential', ...words].map(quoted).join(' ');
  const env = (): Record<string, string> => ({ CIO_CREDENTIAL_SOCKET: harness.daemon.socketPath, NO_COLOR: '1' });
  /** Runs the command, then prints its exit code and the terminal's settings. */
  const withState = (line: string): string => `${line}; echo "exit $?"; stty -a`;
  const assertRestored = (screen: string): void => {
    const state = screen.slice(screen.lastIndexOf('exit '));
    for (const setting of ['echo', 'icanon', 'isig', 'icrnl']) assert.match(state, new RegExp(`[ \\n]${setting}[ ;]`));
  };

  it('asks for a secret twice, without showing it', async (t) => {
    const name = newName();
    const program = new TerminalProgram(t, withState(cioLine('create', name)), env());
    await program.shows(`Value of ${name}: `);
    program.type('canary ü🔑\r');
    await program.shows('Repeat: ');
    program.type('canary ü🔑\r');
    assert.equal(await program.exit(), 0);
    assert.match(program.screen, /Succeed: Create credential: Credential .* saved/);
    assert.doesNotMatch(program.screen, /canary|🔑|ü/);
    assertRestored(program.screen);
    assert.equal(await harness.succeed(['get', name]), 'canary ü🔑');
  });

  it('takes both entries from one paste', async (t) => {
    const name = newName();
    const program = new TerminalProgram(t, cioLine('create', name), env());
    await program.shows('Value of');
    program.type('canary\ncanary\n');
    assert.equal(await program.exit(), 0);
    assert.equal(await harness.succeed(['get', name]), 'canary');
    assert.doesNotMatch(program.screen, /canary/);
  });

  it("asks by the field's label, and echoes what is no secret", async (t) => {
    const set = newSetName();
    const secret = new TerminalProgram(t, cioLine('create', `cio_${set}_secret_key`), env());
    await secret.shows(`Secret key (cio_${set}_secret_key): `);
    secret.type('\u0003');
    assert.equal(await secret.exit(), 130);
    const visible = new TerminalProgram(t, cioLine('create', `cio_${set}_access_key`), env());
    await visible.shows(`Access key (cio_${set}_access_key): `);
    visible.type('AKIX\u007fA');
    await visible.shows('AKIA');
    visible.type('\r');
    assert.equal(await visible.exit(), 0);
    assert.equal(await harness.succeed(['get', `cio_${set}_access_key`]), 'AKIA');
  });

  it('shows a line that is wider than the terminal once, and clears all of its rows on Backspace', async (t) => {
    const name = `cio_${newSetName()}_access_key`;
    const program = new TerminalProgram(t, `stty cols 30; ${cioLine('create', name)}`, env());
    const question = `Access key (${name}): `;
    await program.shows(question);
    const before = program.screen.length;
    // One key at a time, as keys that arrive together are shown together.
    for (const typed of ['A', 'AK', 'AKI']) {
      program.type(typed.slice(-1));
      await program.shows(`${question}${typed}`);
    }
    assert.equal(program.screen.slice(before), 'AKI');
    program.type('\u007f');
    const rows = Math.ceil(`${question}AKI`.length / 30);
    await program.shows(`\r\u001b[${rows - 1}A\u001b[J${question}AK`);
    program.type('\r');
    assert.equal(await program.exit(), 0);
    assert.equal(await harness.succeed(['get', name]), 'AK');
  });

  it('asks for the name if none is given', async (t) => {
    const name = newName();
    const program = new TerminalProgram(t, cioLine('create'), env());
    await program.shows('Name of the credential: ');
    program.type(`${name}\r`);
    await program.shows(`Value of ${name}: `);
    program.type('v\r');
    await program.shows('Repeat: ');
    program.type('v\r');
    assert.equal(await program.exit(), 0);
  });

  it("asks for a whole set if the name typed is a set's", async (t) => {
    const program = new TerminalProgram(t, cioLine('create'), env());
    await program.shows('Name of the credential: ');
    program.type('aws_site2\r');
    await program.shows('Amazon S3, set aws_site2. Ctrl-C cancels, and stores nothing.');
    program.type('\u0003');
    assert.equal(await program.exit(), 130);
  });

  it('refuses two entries that differ, an empty one, and Ctrl-D', async (t) => {
    for (const [keys, told] of [
      [['one\r', 'two\r'], /the two entries differ/],
      [['\r'], /nothing was entered/],
      [['\u0004'], /nothing was entered/],
    ] as const) {
      const program = new TerminalProgram(t, withState(cioLine('create', newName())), env());
      await program.shows('Value of');
      program.type(keys[0]);
      if (keys[1] !== undefined) {
        await program.shows('Repeat: ');
        program.type(keys[1]);
      }
      await program.exit();
      assert.match(program.screen, told);
      assert.match(program.screen, /exit 8/);
      assertRestored(program.screen);
    }
  });

  it('exits with 130 on Ctrl-C, and restores the echo', async (t) => {
    const program = new TerminalProgram(t, withState(cioLine('create', newName())), env());
    await program.shows('Value of');
    program.type('canary\u0003');
    await program.exit();
    assert.match(program.screen, /exit 130/);
    assert.doesNotMatch(program.screen, /canary/);
    assertRestored(program.screen);
  });

  for (const [signal, exit] of [
    ['TERM', 143],
    ['HUP', 129],
    ['QUIT', 131],
    ['INT', 130],
    ['USR1', 138],
    ['USR2', 140],
    ['ALRM', 142],
  ] as const) {
    it(`restores the echo when SIG${signal} ends it`, async (t) => {
      const inner = `echo "pid $$."; exec ${cioLine('create', newName())}`;
      const program = new TerminalProgram(t, withState(`trap : ${signal}; ulimit -c 0; sh -c ${quoted(inner)}`), env());
      const pid = /\d+/.exec(await program.shows(/pid \d+\./))?.[0];
      await program.shows('Value of');
      process.kill(Number(pid), `SIG${signal}`);
      await program.exit();
      assert.match(program.screen, new RegExp(`exit ${exit}`));
      assertRestored(program.screen);
    });
  }

  // A shell with job control. The markers are split by quotes, so that the echoed command line does not contain them.
  const shell = 'bash --norc --noprofile -i';
  const stoppedBy: Readonly<Record<string, (program: TerminalProgram) => void>> = {
    'Ctrl-Z': (program) => program.type('\u001a'),
    'SIGSTOP from elsewhere': (program) => process.kill(childOf(program), 'SIGSTOP'),
  };
  const childOf = (program: TerminalProgram): number =>
    Number(readFileSync(`/proc/${pidOf(program)}/task/${pidOf(program)}/children`, 'utf8'));
  const pidOf = (program: TerminalProgram): string =>
    /pid=(\d+)/.exec(program.screen)?.[1] ?? assert.fail(program.screen);
  for (const [how, stopIt] of Object.entries(stoppedBy)) {
    it(`is stopped by ${how} like any job, and asks on without echo after fg`, async (t) => {
      const name = newName();
      const program = new TerminalProgram(t, shell, { ...env(), PS1: '$ ' });
      program.type('echo pid=$$\n');
      await program.shows(/pid=\d+/);
      program.type(`${cioLine('create', name)}\n`);
      const question = `Value of ${name}: `;
      await program.shows(question);
      stopIt(program);
      await program.shows('Stopped');
      program.type('stty -a; echo "end"ed\n');
      const state = (await program.shows(/Stopped[^]*\nended/)).slice('Stopped'.length);
      for (const setting of ['echo', 'icanon', 'isig', 'icrnl'])
        assert.match(state, new RegExp(`[ \\n]${setting}[ ;]`));
      program.type('fg\n');
      await program.shows(new RegExp(`Stopped[^]*${question}`));
      program.type('canary\r');
      await program.shows('Repeat: ');
      program.type('canary\r');
      await program.shows('saved');
      program.type('exit\n');
      await program.exit();
      assert.doesNotMatch(program.screen, /canary/);
      assert.equal(await harness.succeed(['get', name]), 'canary');
    });

    it(`is ended by kill after it was stopped by ${how}`, async (t) => {
      const program = new TerminalProgram(t, shell, { ...env(), PS1: '$ ' });
      program.type('echo pid=$$\n');
      await program.shows(/pid=\d+/);
      program.type(`${cioLine('create', newName())}\n`);
      await program.shows('Value of');
      stopIt(program);
      await program.shows('Stopped');
      program.type('kill %1; while jobs %1 2>/dev/null; do sleep 0.05; done; stty -a; echo "end"ed; exit\n');
      const state = await program.shows(/Terminated[^]*\nended/);
      for (const setting of ['echo', 'icanon', 'isig', 'icrnl'])
        assert.match(state, new RegExp(`[ \\n]${setting}[ ;]`));
      await program.exit();
    });
  }

  it('restores the echo before SIGTSTP from elsewhere stops it, for a shell that does not', async (t) => {
    const program = new TerminalProgram(t, 'dash -i', { ...env(), PS1: '$ ' });
    program.type('echo pid=$$\n');
    await program.shows(/pid=\d+/);
    program.type(`${cioLine('create', newName())}\n`);
    for (const _ of ['once', 'and again']) {
      const before = program.screen.length;
      await program.shows(/Value of[^]*: $/);
      process.kill(childOf(program), 'SIGTSTP');
      await program.shows(new RegExp(`^[^]{${before}}[^]*Stopped`));
      program.type('stty -a; echo "end"ed; fg\n');
      const state = await program.shows(new RegExp(`^[^]{${before}}[^]*Stopped[^]*\nended`));
      for (const setting of ['echo', 'icanon', 'isig', 'icrnl'])
        assert.match(state.slice(before), new RegExp(`[ \\n]${setting}[ ;]`));
    }
    await program.shows(/Value of[^]*: $/);
    program.type('\u0003');
    await program.shows(/\nFailed/);
    program.type('exit\n');
    await program.exit();
  });

  it('restores the echo before Ctrl-Z stops it as part of a script, for a shell that does not', async (t) => {
    const program = new TerminalProgram(t, 'dash -i', { ...env(), PS1: '$ ' });
    program.type(`sh -c ${quoted(`${cioLine('create', newName())}; exit`)}\n`);
    await program.shows('Value of');
    program.type('\u001a');
    await program.shows('Stopped');
    program.type('stty -a; echo "end"ed\r\n');
    const state = await program.shows(/Stopped[^]*\nended/);
    for (const setting of ['echo', 'icanon', 'isig', 'icrnl']) assert.match(state, new RegExp(`[ \\n]${setting}[ ;]`));
    program.type('fg\n');
    await program.shows(/\nended[^]*Value of[^]*: $/);
    program.type('\u0003');
    await program.shows(/\nFailed/);
    program.type('exit\n');
    await program.exit();
  });

  it('is ended by kill after it was continued in the background', async (t) => {
    const program = new TerminalProgram(t, shell, { ...env(), PS1: '$ ' });
    program.type('echo pid=$$\n');
    await program.shows(/pid=\d+/);
    program.type(`${cioLine('create', newName())}\n`);
    await program.shows('Value of');
    program.type('\u001a');
    await program.shows('Stopped');
    // Setting the terminal from the background would stop it again. A program `kill` is not on every machine.
    program.type(`bg; sleep 0.3; sh -c 'kill -s TERM "$1"' sh "$!"; wait; echo "end"ed; exit\n`);
    await program.shows(/\nended/);
    await program.exit();
  });

  it('keeps asking on Ctrl-Z where no shell could continue it', async (t) => {
    const name = newName();
    const program = new TerminalProgram(t, withState(cioLine('create', name)), env());
    await program.shows('Value of');
    program.type('canary\u001a\r');
    await program.shows('Repeat: ');
    program.type('canary\r');
    assert.equal(await program.exit(), 0);
    assert.doesNotMatch(program.screen, /canary/);
    assertRestored(program.screen);
  });

  it('reports an existing name before it asks for a value', async (t) => {
    const name = await harness.store('v');
    const program = new TerminalProgram(t, cioLine('create', name), env());
    assert.equal(await program.exit(), EXIT.alreadyExists);
    assert.doesNotMatch(program.screen, /Value of/);
  });

  it('asks on the terminal even if standard error is redirected', async (t) => {
    const name = newName();
    const program = new TerminalProgram(t, `${cioLine('create', name)} 2>/dev/null`, env());
    await program.shows('Value of');
    program.type('v\rv\r');
    assert.equal(await program.exit(), 0);
  });

  it('warns of a secret on the command line', async (t) => {
    const warned = new TerminalProgram(t, cioLine('create', newName(), 'v'), env());
    assert.equal(await warned.exit(), 0);
    assert.match(warned.screen, /Warning: other users of this host can see/);
    const set = newSetName();
    const silent = new TerminalProgram(t, cioLine('create', `cio_${set}_access_key`, 'AK'), env());
    assert.equal(await silent.exit(), 0);
    assert.doesNotMatch(silent.screen, /Warning/);
  });

  it('lists what it will remove, and asks', async (t) => {
    const set = await harness.storeSet();
    for (const [answer, exit] of [
      ['\r', 1],
      ['n\r', 1],
      ['yess\r', 1],
      ['\u0004', 1],
      ['\u0003', 130],
      ['y\r', 0],
    ] as const) {
      const program = new TerminalProgram(t, cioLine('remove', set), env());
      await program.shows('Remove these 4 credentials, with all kept versions, for good? [y/N] ');
      assert.match(program.screen, new RegExp(`cio_${set}_secret_key`));
      program.type(answer);
      assert.equal(await program.exit(), exit, program.screen);
    }
    await harness.fail(EXIT.notFound, ['get', `cio_${set}_secret_key`]);
  });

  it('does not remove what was added after it asked', async (t) => {
    const set = await harness.storeSet();
    const program = new TerminalProgram(t, cioLine('remove', set), env());
    await program.shows('[y/N] ');
    await harness.store('eu-central-1', `cio_${set}_region`);
    program.type('y\r');
    assert.equal(await program.exit(), EXIT.failed);
    assert.match(program.screen, /changed in the meantime/);
    assert.equal(await harness.succeed(['get', `cio_${set}_region`]), 'eu-central-1');
  });

  it(
    'does not remove what changed after it asked, also with credentials granted to the caller',
    { skip: skipUnless(root, command('setpriv', 'util-linux')) },
    async (t) => {
      const ann = harness.asUser(t, 54321);
      const name = newName();
      for (const value of ['1', '2', '3', '4']) await harness.store(value, name);
      await harness.succeed(['grant', name, '--user', '54321']);
      await harness.succeed(['create', name, 'seen'], ann);
      const as = ['setpriv', '--reuid=54321', '--regid=54321', '--clear-groups', '--'];
      const line = [...as, ...ann.command, 'credential', 'remove', name].map(quoted).join(' ');
      const program = new TerminalProgram(t, line, env());
      await program.shows('Remove this credential, with all kept versions, for good? [y/N] ');
      await harness.succeed(['create', name, 'not seen', '--replace'], ann);
      program.type('y\r');
      assert.equal(await program.exit(), EXIT.failed);
      assert.match(program.screen, /changed in the meantime/);
      assert.equal(await harness.succeed(['get', name], ann), 'not seen');
    },
  );

  it('prints a newline after a value', async (t) => {
    const name = await harness.store('value');
    const program = new TerminalProgram(t, `${cioLine('get', name)}; echo next`, env());
    await program.exit();
    assert.equal(program.screen, 'value\r\nnext\r\n');
  });

  it('fits the table to the width, and shortens values only', async (t) => {
    const set = await harness.storeSet({ backup_repo: `s3:https://host.example/${'b'.repeat(200)}` });
    const program = new TerminalProgram(t, `stty cols 100; ${cioLine('list', set)}`, env());
    await program.exit();
    const lines = program.screen.split('\r\n');
    assert.ok(lines.every((line) => line.length <= 100));
    assert.ok(lines.some((line) => line.includes(`cio_${set}_backup_repo`) && line.endsWith('…')));
  });

  it('uses colour on a terminal unless NO_COLOR is set', async (t) => {
    const coloured = new TerminalProgram(t, cioLine('get', newName()), { ...env(), NO_COLOR: '' });
    await coloured.exit();
    assert.match(coloured.screen, /\u001b\[31mFailed:\u001b\[0m/);
    const plain = new TerminalProgram(t, cioLine('get', newName()), env());
    await plain.exit();
    assert.doesNotMatch(plain.screen, /\u001b/);
  });

  it('asks for a passphrase to unlock once, without showing it', async (t) => {
    const own = await startDaemon(t);
    const options = { socketPath: own.socketPath };
    await harness.succeed(['slot', 'add', 'passphrase'], { ...options, stdin: 'canary phrase\n' });
    const { slots } = (await harness.json(['slot', 'list'], options)) as { slots: { id: string; kind: string }[] };
    await harness.succeed(['slot', 'remove', slots.find(({ kind }) => kind === 'keyfile')?.id ?? '', '-y'], options);
    await harness.succeed(['lock'], options);
    const program = new TerminalProgram(t, cioLine('unlock'), { ...env(), CIO_CREDENTIAL_SOCKET: own.socketPath });
    await program.shows('Passphrase: ');
    program.type('canary phrase\r');
    assert.equal(await program.exit(), 0, program.screen);
    assert.doesNotMatch(program.screen, /canary|Repeat/);
    await own.stop();
  });

  it('says why the key file does not open the store before it asks for a passphrase', async (t) => {
    const own = await startDaemon(t);
    const options = { socketPath: own.socketPath };
    await harness.succeed(['slot', 'add', 'passphrase'], { ...options, stdin: 'canary phrase\n' });
    await harness.succeed(['lock'], options);
    const keyFile = join(own.stateDirectory, 'root.key');
    chmodSync(keyFile, 0o644);
    const told = await harness.fail(EXIT.accessDenied, ['unlock'], { ...options, stdin: '' });
    assert.match(told, /no slot opens the store by itself: slot \w+ \(keyfile\): .*root\.key can be read by others/);
    const program = new TerminalProgram(t, cioLine('unlock'), { ...env(), CIO_CREDENTIAL_SOCKET: own.socketPath });
    await program.shows('Passphrase: ');
    assert.match(program.screen, /Warning: slot \w+ \(keyfile\): .*chmod 600/s);
    program.type('canary phrase\r');
    assert.equal(await program.exit(), 0, program.screen);
    await own.stop();
  });

  it('warns of a short passphrase, and accepts it', async (t) => {
    const own = await startDaemon(t);
    for (const [passphrase, isShort] of [
      ['7 chars', true],
      ['8 chars!', false],
    ] as const) {
      const environment = { ...env(), CIO_CREDENTIAL_SOCKET: own.socketPath };
      const program = new TerminalProgram(t, cioLine('slot', 'add', 'passphrase'), environment);
      await program.shows('New passphrase: ');
      program.type(`${passphrase}\r`);
      await program.shows('Repeat: ');
      program.type(`${passphrase}\r`);
      assert.equal(await program.exit(), 0, program.screen);
      assert.equal(program.screen.includes('Warning: a passphrase of fewer than 8 characters'), isShort);
    }
  });

  it('leaves the terminal to the command of exec', async (t) => {
    const set = await harness.storeSet();
    const program = new TerminalProgram(
      t,
      cioLine('exec', set, '--', 'sh', '-c', 'stty -a; read line; echo "got $line"'),
      env(),
    );
    await program.shows('icanon');
    program.type('typed\n');
    await program.shows('got typed');
    assert.equal(await program.exit(), 0);
  });

  it('delivers Ctrl-C to the command of exec once', async (t) => {
    const set = await harness.storeSet();
    const script = 'trap "echo interrupted" INT; echo ready; while :; do read line && break; done; echo "got $line"';
    const program = new TerminalProgram(t, cioLine('exec', set, '--', 'bash', '-c', script), env());
    await program.shows('ready');
    program.type('\u0003');
    await program.shows('interrupted');
    program.type('typed\n');
    await program.shows('got typed');
    await program.exit();
    assert.equal(program.screen.split('interrupted').length, 2);
  });
});
