import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { BenchScope } from './bench-scope.ts';

const PROGRAM = path.join(import.meta.dirname, 'interrupted-program.ts');

/** Runs a program that makes a folder and waits, and interrupts it once it has printed the path. */
async function interrupt(signal: NodeJS.Signals, manner: 'waits' | 'fails'): Promise<{ folder: string; end: unknown }> {
  const child = spawn(process.execPath, [PROGRAM, manner], { stdio: ['ignore', 'pipe', 'inherit'] });
  const closed = once(child, 'close');
  const [said] = (await once(child.stdout, 'data')) as [Buffer];
  child.kill(signal);
  const [, end] = (await closed) as [number | null, string | null];
  return { folder: said.toString().trim(), end };
}

describe('runInterruptibly()', () => {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    it(`leaves nothing behind on ${signal}, and ends by it`, async () => {
      const { folder, end } = await interrupt(signal, 'waits');
      assert.match(folder, /cio-interrupted/);
      assert.equal(existsSync(folder), false);
      assert.equal(end, signal);
    });
  }

  it('ends by the signal even if the work fails meanwhile', async () => {
    const { folder, end } = await interrupt('SIGINT', 'fails');
    assert.match(folder, /cio-interrupted/);
    assert.equal(existsSync(folder), false);
    assert.equal(end, 'SIGINT');
  });
});

describe('runInterruptibly() with an uncaught error', () => {
  it('leaves nothing behind, and ends with exit code 1', () => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [PROGRAM, 'has a defect'], { encoding: 'utf8' });
    assert.equal(status, 1);
    assert.match(stderr, /nobody catches this/);
    assert.match(stdout, /cio-interrupted/);
    assert.equal(existsSync(stdout.trim()), false);
  });
});

describe('BenchScope', () => {
  it('cleans up at once what is started in it after its end', async () => {
    const scope = new BenchScope();
    await scope[Symbol.asyncDispose]();
    let isCleanedUp = false;
    assert.throws(() => {
      scope.after(() => {
        isCleanedUp = true;
      });
    });
    assert.equal(isCleanedUp, true);
  });

  // Must be the last test, as no scope can be made in this process after it.
  it('is awaited by endAll() until its clean-up is complete, even if that began before', async () => {
    const scope = new BenchScope();
    const { promise, resolve } = Promise.withResolvers<void>();
    let isCleanedUp = false;
    scope.after(async () => {
      await promise;
      isCleanedUp = true;
    });
    const begun = scope[Symbol.asyncDispose]();
    const ended = BenchScope.endAll();
    resolve();
    await ended;
    assert.equal(isCleanedUp, true);
    await begun;
    // A program whose daemon was ended by the same signal must not start another one.
    assert.throws(() => new BenchScope());
  });
});
