import assert from 'node:assert/strict';
import { cpSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { STORE_FILE } from '../../daemon/vault/open-vault.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { Random } from '../random.ts';
import type { Outcome } from '../scenario.ts';
import { killAgainAndAgain } from './crash.ts';

/**
 * Kills of daemons: during the first, the store is damaged; the next daemon finds that, and the last finds the store
 * restored.
 */
const KILLS = 3;

describe('killAgainAndAgain()', () => {
  it('reports what a kill in mid-run left, even if no moment can be chosen', async (t) => {
    const temporary = temporaryDirectory(t);
    const before = process.env['TMPDIR'];
    process.env['TMPDIR'] = temporary;
    t.after(() => {
      if (before === undefined) delete process.env['TMPDIR'];
      else process.env['TMPDIR'] = before;
    });
    const kept = path.join(temporary, 'kept');
    const random = new Random(7);
    const outcomes: Outcome[] = [];
    const torture = {
      scope: t,
      random,
      choose: () => 2 * KILLS,
      progress(done: number) {
        const folder = readdirSync(temporary).find((name) => name.startsWith('cio-crash')) ?? '';
        const state = path.join(temporary, folder, 'state');
        if (done === 2) {
          cpSync(state, kept, { recursive: true });
          writeFileSync(path.join(state, STORE_FILE), 'no store any more');
        } else if (done === 4) {
          rmSync(state, { recursive: true });
          cpSync(kept, state, { recursive: true });
        }
      },
    };
    for await (const outcome of killAgainAndAgain(torture, 'needs strace')) outcomes.push(outcome);
    const [chosen, atRandom] = outcomes;
    assert.equal(chosen?.notRun, 'needs strace');
    assert.equal(atRandom?.count, KILLS);
    assert.match(atRandom.broken.join('\n'), /after kill \d the daemon does not start/);
  });
});
