import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { NO_PROGRESS, startProgress } from '../../../client/cio/progress.ts';
import { cio, CIO_SOURCE } from '../../support/cio.ts';
import type { Scope } from '../../support/scope.ts';
import { skipUnless } from '../../support/requirements.ts';
import { message, Peer } from '../peer.ts';
import { quoted, TERMINAL, TerminalProgram } from '../terminal.ts';

const CLEAR_LINE = '\r\u001b[K';
const DONE = 'Succeed: Rekey: 3 records sealed with data key 2';

/** Longer than the delay before progress is shown, in ms. */
const LONG_MS = 700;

/** A daemon that answers Rekey when told to, or after a time. */
async function slowDaemon(
  scope: Scope,
  afterMs?: number,
): Promise<{ readonly path: string; readonly answer: () => void }> {
  const { promise: isAnswered, resolve: answer } = Promise.withResolvers<void>();
  const peer = await Peer.onCalls(scope, (_call, socket) => {
    if (afterMs !== undefined) setTimeout(answer, afterMs);
    void isAnswered.then(() => socket.write(message({ parameters: { keyEpoch: 2, records: 3 } })));
  });
  return { path: peer.path, answer };
}

function onTerminal(scope: Scope, socket: string, words: string, env: Readonly<Record<string, string>> = {}) {
  const line = `stty cols 40; ${CIO_SOURCE.map(quoted).join(' ')} credential rekey ${words}`;
  return new TerminalProgram(scope, line, { CIO_CREDENTIAL_SOCKET: socket, NO_COLOR: '1', ...env });
}

describe('startProgress()', { skip: skipUnless(TERMINAL) }, () => {
  it('shows one line on a terminal, with the time from 3 s on, and removes it at the end', async (t) => {
    const { path, answer } = await slowDaemon(t);
    const program = onTerminal(t, path, '');
    await program.shows('Sealing every record anew');
    // From 3 s on; later if the process was not scheduled just then.
    await program.shows(/Sealing every record anew \((?:[3-9]|\d{2}) s\)/);
    answer();
    assert.equal(await program.exit(), 0);
    const lines = program.screen.split('\r\n');
    assert.deepEqual(lines.slice(1), ['']);
    const [shown = ''] = lines;
    assert.equal(shown.slice(shown.lastIndexOf(CLEAR_LINE)), `${CLEAR_LINE}${DONE}`);
    for (const frame of shown.split(CLEAR_LINE).slice(1, -2)) assert.match(frame, /^[|/\\-] Sealing.{1,37}$/);
  });

  it('removes the line when interrupted', async (t) => {
    const { path } = await slowDaemon(t);
    const program = onTerminal(t, path, '; echo "exit $?"');
    await program.shows('Sealing');
    program.type('\u0003');
    await program.exit();
    assert.match(program.screen, /\r\u001b\[K(?:\^C)?\r?\n?(?:exit 130\r\n)?$/);
  });

  it('shows nothing with --json, on a dumb terminal, or into a pipe', async (t) => {
    for (const [words, env] of [
      ['--json', {}],
      ['', { TERM: 'dumb' }],
      ['2>/dev/null', {}],
    ] as const) {
      const { path } = await slowDaemon(t, LONG_MS);
      const program = onTerminal(t, path, words, env);
      assert.equal(await program.exit(), 0);
      assert.doesNotMatch(program.screen, /Sealing|\u001b/, words);
    }
    const { path } = await slowDaemon(t, LONG_MS);
    const { stderr } = await cio(['credential', 'rekey'], { socketPath: path });
    assert.equal(stderr, `${DONE}\n`);
  });
});

describe('NO_PROGRESS', () => {
  it('is returned without a terminal', { skip: process.stderr.isTTY && 'needs no terminal' }, () => {
    assert.equal(startProgress('x'), NO_PROGRESS);
  });
});
