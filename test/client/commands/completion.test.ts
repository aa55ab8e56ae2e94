import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, describe, it } from 'node:test';
import { COMPLETION_SCRIPTS } from '../../../client/cio/completion-scripts.ts';
import { EXIT } from '../../../src/errors.ts';
import { command, skipUnless } from '../../support/requirements.ts';
import type { Scope } from '../../support/scope.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { message, Peer } from '../peer.ts';
import { quoted, TERMINAL, TerminalProgram } from '../terminal.ts';
import { Harness } from './harness.ts';

const harness = await Harness.start({ after });

/** The completion scripts wait a second for a daemon; the rest is for their start on a busy machine. */
const WAIT_MS_MAX = 6000;

/** How each shell is started without its user's files, and with the completion in a file. */
const SHELLS = {
  bash: (script: string) => `exec bash --noprofile --rcfile ${script} -i`,
  zsh: (_script: string, home: string) => `ZDOTDIR=${home} exec zsh -d -i`,
  fish: (script: string) => `exec fish --no-config -i -C ${quoted(`source ${script}`)}`,
} as const;

const PREPARATION = {
  bash: "PS1='ready> '; bind 'set bell-style none'; bind 'set enable-bracketed-paste off'\n",
  zsh: "PS1='ready> '; unsetopt beep; autoload -Uz compinit; compinit -u -D\n",
  fish: "function fish_prompt; echo -n 'ready> '; end; set -g fish_autosuggestion_enabled 0\n",
} as const;

type Shell = keyof typeof SHELLS;

/**
 * Starts a shell in an empty home. Its `cio` completes as usual, and otherwise prints the arguments that it was called
 * with.
 */
async function startShell(scope: Scope, shell: Shell, socket: string): Promise<TerminalProgram> {
  const home = temporaryDirectory(scope);
  const built = harness.built.map(quoted).join(' ');
  const cio = `#!/bin/sh\n[ "$2" = __complete ] && exec ${built} "$@"\nprintf 'called:'; printf '[%s]' "$@"; echo .\n`;
  fs.writeFileSync(path.join(home, 'cio'), cio, { mode: 0o755 });
  fs.writeFileSync(path.join(home, 'a_file'), '');
  const script = path.join(home, '.zshrc');
  fs.writeFileSync(script, PREPARATION[shell] + COMPLETION_SCRIPTS[shell]);
  // Otherwise fish makes a folder in /tmp with the user's name, and complains if the user has none.
  const runtime = path.join(home, 'run');
  fs.mkdirSync(runtime, { mode: 0o700 });
  const env = {
    CIO_CREDENTIAL_SOCKET: socket,
    HOME: home,
    XDG_RUNTIME_DIR: runtime,
    PATH: `${home}:/usr/bin:/bin`,
    LC_ALL: 'C.UTF-8',
  };
  const program = new TerminalProgram(scope, `cd ${home}; stty cols 200; ${SHELLS[shell](script, home)}`, env);
  await program.shows('ready> ');
  return program;
}

for (const shell of Object.keys(SHELLS) as Shell[]) {
  describe(`completion typed in ${shell}`, { skip: skipUnless(TERMINAL, command(shell)) }, () => {
    it('completes names, sets, options and their values, and paths', async (t) => {
      const set = await harness.storeSet();
      const program = await startShell(t, shell, harness.daemon.socketPath);
      for (const [typed, called] of [
        ['cio cred hist', ['cred', 'history']],
        [`cio cred get cio_${set}_sec`, ['cred', 'get', `cio_${set}_secret_key`]],
        [`cio credentials rm a cio_${set}_backup_p`, ['credentials', 'rm', 'a', `cio_${set}_backup_password`]],
        [`cio credential env ${set.slice(0, -3)}`, ['credential', 'env', set]],
        ['cio credential get x -o ya', ['credential', 'get', 'x', '-o', 'yaml']],
        ['cio credential grant x --uni', ['credential', 'grant', 'x', '--unit']],
        ['cio cred grant x --missing=bl', ['cred', 'grant', 'x', '--missing=block']],
        ['cio cred grant x --missing bl', ['cred', 'grant', 'x', '--missing', 'block']],
        ['cio cred create x --from-file=a_f', ['cred', 'create', 'x', '--from-file=a_file']],
        ['cio cred create x --from-file a_f', ['cred', 'create', 'x', '--from-file', 'a_file']],
        ['cio cred exec a --file X=y -- ls a_f', ['cred', 'exec', 'a', '--file', 'X=y', '--', 'ls', 'a_file']],
        // What has no completion stays as it was typed.
        ['cio cred get nosuchname', ['cred', 'get', 'nosuchname']],
      ] as const) {
        program.type(`${typed}\t\r`);
        const told = `called:${called.map((word) => `[${word}]`).join('')}.`;
        await program.shows(told);
        // A shell may discard input that is typed before its prompt.
        await program.shows(new RegExp(`^[^]{${program.screen.indexOf(told)}}[^]*ready> `));
      }
    });

    it('prints nothing, and returns soon, if there is no daemon or the daemon does not answer', async (t) => {
      const mute = await Peer.listen(t, () => undefined);
      for (const socket of ['/nonexistent/socket', mute.path]) {
        const program = await startShell(t, shell, socket);
        const before = performance.now();
        program.type('cio cred get name\t\r');
        await program.shows('called:[cred][get][name].');
        assert.ok(performance.now() - before < WAIT_MS_MAX);
        assert.doesNotMatch(program.screen, /Failed|Hint|rror/);
      }
    });
  });
}

describe('cio credential __complete', () => {
  it('offers nothing if the store is locked', async (t) => {
    const locked = await Peer.onCalls(t, (_call, socket) => {
      socket.write(message({ error: 'io.cio.Credentials.Locked', parameters: {} }));
    });
    const words = ['__complete', '--', '3', 'cio', 'credential', 'get', ''];
    const { code, stdout, stderr } = await harness.run(words, { socketPath: locked.path });
    assert.deepEqual([code, stdout, stderr], [EXIT.done, 'words\n', '']);
  });
});
