import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, describe, it } from 'node:test';
import { EXIT } from '../../../src/errors.ts';
import { run as runProcess } from '../../support/process.ts';
import { command, skipUnless } from '../../support/requirements.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { message, Peer } from '../peer.ts';
import { quoted } from '../terminal.ts';
import { Harness, REPOSITORY } from './harness.ts';

const harness = await Harness.start({ after });

describe('cio credential exec', () => {
  it("runs a command with the set's variables added to its own environment, and no secret in its arguments", async () => {
    const set = await harness.storeSet({ secret_key: 'canarykey', backup_password: 'it\'s $HOME\n`x` "y"' });
    const script =
      'printf "%s|" "$RESTIC_REPOSITORY" "$AWS_SECRET_ACCESS_KEY" "$RESTIC_PASSWORD" "$MINE" "${AWS_PROFILE-none}" "$@"; tr "\\0" " " < /proc/$$/cmdline';
    const stdout = await harness.succeed(['exec', set, '--', 'sh', '-c', script, 'sh', '--json', 'a b', ''], {
      env: { MINE: 'mine', AWS_PROFILE: 'other', AWS_SESSION_TOKEN: 'stale' },
    });
    const [variables = '', commandLine = ''] = stdout.split('||');
    assert.equal(variables, `${REPOSITORY}|canarykey|it's $HOME\n\`x\` "y"|mine|none|--json|a b`);
    assert.doesNotMatch(commandLine, /canary/);
  });

  it('becomes the command: same process, unchanged standard streams, no signal ignored', async () => {
    const set = await harness.storeSet();
    const script =
      'cat; echo " $$"; ls -l /proc/self/fd; grep -E "Sig(Ign|Blk)" /proc/self/status; echo out; echo err >&2';
    const words = ['credential', 'exec', set, '--', 'sh', '-c', script];
    const result = await runProcess(['/bin/sh', '-c', 'echo $$; exec "$@"', 'sh', ...harness.built, ...words], {
      env: harness.environment,
      input: 'in',
    });
    const out = result.stdout.toString();
    const [before, inside] = [/^(\d+)\n/.exec(out)?.[1], /in (\d+)\n/.exec(out)?.[1]];
    assert.ok(before !== undefined && before === inside, out);
    assert.doesNotMatch(out, /socket:.*socket:.*socket:.*socket:/s);
    assert.match(out, /SigBlk:\t0+\n/);
    assert.match(out, /SigIgn:\t0+\n/);
    assert.match(out, /out\n$/);
    assert.equal(result.stderr, 'err\n');
  });

  it('ends as the command ends', async () => {
    const set = await harness.storeSet();
    const { code } = await harness.run(['exec', set, '--', 'sh', '-c', 'exit 42']);
    assert.equal(code, 42);
    const { signal } = await harness.run(['exec', set, '--', 'sh', '-c', 'kill -TERM $$']);
    assert.equal(signal, 'SIGTERM');
    const piped = await harness.run(['exec', set, '--', 'bash', '-c', 'yes | head -1; echo ${PIPESTATUS[0]}']);
    assert.equal(piped.stdout, 'y\n141\n');
  });

  it('exits with 127 for a command that does not exist, and with 126 for one that cannot be executed', async (t) => {
    const set = await harness.storeSet();
    const directory = temporaryDirectory(t);
    const file = path.join(directory, 'file');
    fs.writeFileSync(file, 'echo as a script\n', { mode: 0o644 });
    await harness.fail(127, ['exec', set, '--', 'no-such-command']);
    await harness.fail(127, ['exec', set, '--', './no-such-command']);
    await harness.fail(126, ['exec', set, '--', file]);
    await harness.fail(126, ['exec', set, '--', directory]);
    // Checked before the daemon is asked for a secret, so the message says nothing about the set.
    await harness.fail(127, ['exec', 'no-such-set', '--', 'no-such-command']);
    fs.chmodSync(file, 0o755);
    assert.equal(await harness.succeed(['exec', set, '--', file]), 'as a script\n');
    fs.writeFileSync(file, '#!/nonexistent/interpreter\n');
    const { code, stderr } = await harness.run(['exec', set, '--', file]);
    assert.equal(code, 127, stderr);
    const large = await harness.storeSet({ session_token: 'x'.repeat(131_072) });
    const told = await harness.fail(126, ['exec', large, '--', 'true']);
    assert.match(told, /the variable AWS_SESSION_TOKEN is too large for a command/);
  });

  it('names exactly the fields that a set lacks', async () => {
    await harness.store('AK', 'cio_minio_alt_access_key');
    const told = await harness.fail(EXIT.notFound, ['exec', 'minio_alt', '--', 'true']);
    assert.match(told, /set minio_alt is not complete: it lacks /);
    assert.match(told, /Hint: cio credential create cio_minio_alt_/);
    await harness.fail(EXIT.notFound, ['exec', 'no-such-set', '--', 'true']);
  });

  it('names the credential that no variable can hold', async (t) => {
    for (const [bytes, reason] of [
      ['nul\0byte', 'it has a NUL byte'],
      [Buffer.from([0xff, 0xfe]), 'it is not UTF-8 text'],
    ] as const) {
      const name = 'cio_aws_backup_password';
      const data = Buffer.from(bytes as Uint8Array).toString('base64');
      const members = [{ name, field: 'backup_password', data, version: 1 }];
      const parameters = {
        set: 'aws',
        uuid: 'u',
        provider: 'aws',
        owner: 0,
        generation: 1,
        ready: true,
        missing: [],
        members,
      };
      // This daemon refuses to store such a value; another version might not.
      const peer = await Peer.onCalls(t, (_call, socket) => socket.write(message({ parameters })));
      for (const words of [
        ['exec', 'aws', '--', 'true'],
        ['env', 'aws'],
      ]) {
        const told = await harness.fail(EXIT.invalid, words, { socketPath: peer.path });
        assert.ok(told.includes(`the value of ${name} is not valid: ${reason}`), told);
      }
    }
  });

  it('refuses to pass on an argument that is not UTF-8, as Node would change it', async () => {
    const set = await harness.storeSet();
    const shell = `exec ${harness.built.map(quoted).join(' ')} credential exec ${set} -- echo "$(printf 'caf\\351')"`;
    const { code, stderr } = await runProcess(['/bin/sh', '-c', shell], {
      env: harness.environment,
    });
    assert.equal(code, EXIT.usage);
    assert.match(stderr, /word 2 of the command is not UTF-8/);
    assert.equal(await harness.succeed(['exec', set, '--', 'echo', 'caf\ufffd']), 'caf\ufffd\n');
  });

  it('runs a command with = in its name', async (t) => {
    const set = await harness.storeSet();
    const file = path.join(temporaryDirectory(t), 'a=b');
    fs.writeFileSync(file, '#!/bin/sh\necho "ran $1"\n', { mode: 0o755 });
    assert.equal(await harness.succeed(['exec', set, '--', file, 'it']), 'ran it\n');
    fs.writeFileSync(file, 'echo "as a script $1"\n');
    assert.equal(await harness.succeed(['exec', set, '--', file, 'it']), 'as a script it\n');
    fs.writeFileSync(file, '#!/nonexistent/interpreter\n');
    const { code, stderr } = await harness.run(['exec', set, '--', file]);
    assert.equal(code, 127, stderr);
  });
});

describe('cio credential env', () => {
  it('prints lines that a shell evaluates to the same values', async () => {
    const password = 'a\'b"c $HOME `id` \\ \n ü';
    const set = await harness.storeSet({ backup_password: password });
    const lines = await harness.succeed(['env', set], { env: { AWS_PROFILE: 'other' } });
    assert.match(lines, /^unset AWS_PROFILE$/m);
    assert.ok(!lines.includes('unset AWS_SESSION_TOKEN'));
    const { stdout } = await runProcess(
      ['/bin/sh', '-c', `eval "$1"; printf %s "$RESTIC_PASSWORD|$AWS_PROFILE"`, 'sh', lines],
      {
        env: { PATH: '/usr/bin:/bin', AWS_PROFILE: 'other' },
      },
    );
    assert.equal(stdout.toString(), `${password}|`);
  });

  it('prints an object with --json, with null for variables to unset', async () => {
    const set = await harness.storeSet();
    const variables = (await harness.json(['env', set])) as Record<string, string | null>;
    assert.equal(variables['RESTIC_REPOSITORY'], REPOSITORY);
    assert.equal(variables['AWS_SECRET_ACCESS_KEY'], 'SK');
    assert.equal(variables['AWS_SESSION_TOKEN'], null);
    assert.equal(variables[`RCLONE_CONFIG_${set.toUpperCase()}_TYPE`], 's3');
  });
});

describe('cio credential completion', () => {
  const line = (shellLine: string): string => `cio() { ${harness.built.map(quoted).join(' ')} "$@"; }; ${shellLine}`;

  it('completes in bash', { skip: skipUnless(command('bash')) }, async () => {
    const set = await harness.storeSet();
    const complete = async (...words: string[]): Promise<string[]> => {
      const script = line(
        'eval "$(cio credential completion bash)"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _cio; printf "%s\\n" "${COMPREPLY[@]}"',
      );
      const { stdout } = await runProcess(['/bin/bash', '--norc', '-c', script, 'bash', ...words], {
        env: harness.environment,
      });
      return stdout.toString().trim().split('\n');
    };
    assert.deepEqual(await complete('cio', 'credential', 'hi'), ['history']);
    assert.deepEqual(await complete('cio', 'credential', 'get', `cio_${set}_a`), [`cio_${set}_access_key`]);
    assert.deepEqual(await complete('cio', 'credential', 'env', set.slice(0, -2)), [set]);
    assert.ok((await complete('cio', 'credential', 'create', '--from-file', '/etc/passw')).includes('/etc/passwd'));
    assert.ok((await complete('cio', 'credential', 'exec', set, '--', 'bas')).includes('basename'));
  });

  it('completes in zsh', { skip: skipUnless(command('zsh')) }, async () => {
    const set = await harness.storeSet();
    const complete = async (...words: string[]): Promise<string> => {
      // Stand-ins for zsh's own functions, as its completion needs an interactive shell.
      const stand =
        'compadd() { shift; print -l -- "$@" }; _files() { print files }; _normal() { print -- "$CURRENT: $words" }';
      const script = line(`eval "$(cio credential completion zsh)"; ${stand}; words=("$@"); CURRENT=$#; _cio`);
      const { stdout } = await runProcess(['zsh', '-f', '-c', script, 'zsh', ...words], { env: harness.environment });
      return stdout.toString().trim();
    };
    assert.equal(await complete('cio', 'credential', 'hi'), 'history');
    assert.equal(await complete('cio', 'credential', 'get', `cio_${set}_a`), `cio_${set}_access_key`);
    assert.equal(await complete('cio', 'credential', 'create', '--from-file', ''), 'files');
    assert.equal(await complete('cio', 'credential', 'exec', set, '--', 'restic', 'ba'), '2: restic ba');
  });

  it('completes in fish', { skip: skipUnless(command('fish')) }, async (t) => {
    const set = await harness.storeSet();
    const home = temporaryDirectory(t);
    fs.writeFileSync(path.join(home, 'cio'), line('cio "$@"\n').replace(/^/, '#!/bin/sh\n'), { mode: 0o755 });
    const complete = async (words: string): Promise<string> => {
      const script = 'cio credential completion fish | source; complete -C "$argv[1]"';
      const env = { ...harness.environment, HOME: home, PATH: `${home}:/usr/bin:/bin` };
      const { stdout } = await runProcess(['fish', '--no-config', '-c', script, words], { env });
      return stdout.toString().trim();
    };
    assert.equal(await complete('cio credential hi'), 'history');
    assert.equal(await complete(`cio credential get cio_${set}_a`), `cio_${set}_access_key`);
    assert.match(await complete('cio credential create --from-file /etc/passw'), /^\/etc\/passwd$/m);
    assert.match(await complete(`cio credential exec ${set} -- basen`), /^basename\b/m);
  });

  it('prints no candidates and no error if the daemon is absent', async () => {
    const { code, stdout, stderr } = await harness.run(['__complete', '--', '3', 'cio', 'credential', 'get', ''], {
      socketPath: '/nonexistent/socket',
    });
    assert.deepEqual([code, stdout, stderr], [EXIT.done, 'words\n', '']);
  });
});
