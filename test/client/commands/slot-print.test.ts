import assert from 'node:assert/strict';
import { hostname } from 'node:os';
import { after, describe, it } from 'node:test';
import { EXIT } from '../../../src/errors.ts';
import { Harness } from './harness.ts';

const harness = await Harness.start({ after });

describe('cio credential slot add recovery --print', () => {
  it('prints a page with a code that opens the store', async () => {
    const { code, stdout, stderr } = await harness.run(['slot', 'add', 'recovery', '--print']);
    assert.equal(code, EXIT.done, stderr);
    const recoveryCode = /^ {4}([0-9A-Z]{6}(?:-[0-9A-Z]{6}){5})$/m.exec(stdout)?.[1] ?? assert.fail(stdout);
    const status = (await harness.json(['status'])) as { storeId: string };
    for (const text of [hostname(), status.storeId, '█']) assert.ok(stdout.includes(text), text);
    assert.ok(!stdout.includes('\u001b'), 'paper has no colours');
    assert.ok(!stderr.includes(recoveryCode));
    await harness.succeed(['lock']);
    await harness.succeed(['unlock', '--recovery'], { stdin: `${recoveryCode}\n` });
  });

  it('is refused for what has no code, before a slot is made', async () => {
    const count = async (): Promise<number> =>
      ((await harness.json(['slot', 'list'])) as { slots: unknown[] }).slots.length;
    const before = await count();
    await harness.fail(EXIT.usage, ['slot', 'add', 'passphrase', '--print'], { stdin: 'x\n' });
    assert.equal((await harness.run(['slot', 'add', 'recovery', '--print', '--json'])).code, EXIT.usage);
    assert.equal(await count(), before);
  });
});
