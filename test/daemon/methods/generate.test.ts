import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ALICE, BOB, ROOT, startCore } from '../core.ts';

describe('Generate', () => {
  it('stores a password of 32 characters and does not show it', async (t) => {
    const core = await startCore(t);
    const reply = await core.ask(ROOT, 'Generate', { name: 'cio_aws_backup_password' });
    assert.deepEqual(reply, { name: 'cio_aws_backup_password', version: 1, generation: 1, bits: 185 });
    const value = await core.value(ROOT, 'cio_aws_backup_password');
    assert.match(value ?? '', /^[A-HJ-NP-Za-km-np-z2-9]{32}$/);
    assert.ok(!core.log.join('\n').includes(value ?? ''));
  });

  it('returns exactly the password that it stored, if asked to', async (t) => {
    const core = await startCore(t);
    const { value, bits } = await core.ask(ROOT, 'Generate', { name: 'p', words: 6, show: true });
    assert.equal(bits, 77);
    assert.match(value ?? '', /^[a-z]{3,9}(?:-[a-z]{3,9}){5}$/);
    assert.equal(await core.value(ROOT, 'p'), value);
  });

  it('never makes the same password twice', async (t) => {
    const core = await startCore(t);
    const values = new Set<string | null | undefined>();
    for (let round = 0; round < 20; round += 1) {
      values.add((await core.ask(ALICE, 'Generate', { name: `p${round}`, length: 16, show: true })).value);
    }
    assert.equal(values.size, 20);
  });

  it('keeps an existing credential unless told to replace it', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, { name: 'p', value: 'old' });
    assert.deepEqual(await core.refusal(ROOT, 'Generate', { name: 'p' }), ['AlreadyExists', { name: 'p' }]);
    assert.equal(await core.value(ROOT, 'p'), 'old');
    assert.equal((await core.ask(ROOT, 'Generate', { name: 'p', replace: true })).version, 2);
    assert.notEqual(await core.value(ROOT, 'p'), 'old');
  });

  it('refuses passwords that could be guessed, or that some tools may refuse', async (t) => {
    const core = await startCore(t);
    for (const bad of [{ length: 15 }, { length: 1025 }, { length: -1 }, { words: 4 }, { words: 65 }, { words: 0 }]) {
      const [code, fields] = await core.refusal(ROOT, 'Generate', { name: 'p', ...bad });
      assert.equal(code, 'InvalidValue', JSON.stringify(bad));
      assert.match((fields as { reason: string }).reason, /^(16 to 1024 characters|5 to 64 words); fewer could/);
    }
    assert.equal((await core.refusal(ROOT, 'Generate', { name: 'p', length: 20, words: 5 }))[0], 'InvalidValue');
    assert.deepEqual((await core.ask(ROOT, 'List', {})).credentials, []);
  });

  it("refuses a field that is not a password, another user's space, and an invalid name", async (t) => {
    const core = await startCore(t);
    assert.equal((await core.refusal(ROOT, 'Generate', { name: 'cio_aws_backup_repo' }))[0], 'InvalidValue');
    assert.deepEqual(await core.refusal(BOB, 'Generate', { name: 'p', owner: ALICE.uid }), [
      'AccessDenied',
      { right: 'write' },
    ]);
    assert.equal((await core.refusal(ROOT, 'Generate', { name: 'No Name', length: 3 }))[0], 'InvalidName');
  });
});
