import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { widthOf } from '../../../client/cio/text.ts';
import { skipUnless } from '../../support/requirements.ts';
import { quoted, TERMINAL, TerminalProgram } from '../terminal.ts';
import { Harness } from './harness.ts';

const harness = await Harness.start({ after });
const COLUMNS = 40;

describe(`cio on a terminal of ${COLUMNS} columns`, { skip: skipUnless(TERMINAL) }, () => {
  it('prints no table that is wider', async (t) => {
    const set = await harness.storeSet({ backup_repo: `s3:https://s3.example.com/${'long'.repeat(12)}` });
    for (const words of [
      ['list', set],
      ['list', set, '--output', 'wide'],
      ['history', `cio_${set}_backup_repo`],
      ['slot', 'list'],
    ]) {
      const line = [...harness.built, 'credential', ...words].map(quoted).join(' ');
      const env = { CIO_CREDENTIAL_SOCKET: harness.daemon.socketPath, NO_COLOR: '1' };
      const program = new TerminalProgram(t, `stty cols ${COLUMNS}; ${line}`, env);
      assert.equal(await program.exit(), 0);
      const lines = program.screen.split('\r\n');
      assert.ok(lines.length > 2, words.join(' '));
      for (const each of lines) assert.ok(widthOf(each) <= COLUMNS, `${words.join(' ')}: ${each}`);
    }
  });
});
