import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { MethodName } from '../../../daemon/methods/context.ts';
import { INTERFACE_NAME } from '../../../src/protocol/interface.generated.ts';
import { ALICE, RESTIC, ROOT, startCore } from '../core.ts';

/** A valid call of every method. */
const CALLS: { readonly [Name in MethodName]: object } = {
  Create: { credentials: [{ name: 'other', value: 'x' }] },
  Get: { name: 'token' },
  GetSet: { set: 'aws' },
  List: {},
  Remove: { names: ['token'] },
  Grant: { target: 'token', grantees: [{ uid: 1 }] },
  Revoke: { target: 'token', grantees: [{ uid: 1 }] },
  History: { name: 'token' },
  Rollback: { target: 'token' },
  Status: {},
  Lock: {},
  Unlock: {},
  ListSlots: {},
  AddSlot: { kind: 'recovery' },
  RemoveSlot: { id: '00000000' },
  Fsck: {},
  Rekey: {},
  Backup: {},
  UploadCopy: { piece: '' },
  Restore: { upload: '', sha256: '' },
  Validate: { target: 'aws' },
  Generate: { name: 'token' },
  Watch: {},
  Prove: { credentials: [{ name: 'cio_aws_secret_key', value: 'x' }] },
};

/** Methods that need no key, with the error they return: Restore reports what is wrong with its copy. */
const ANSWERED: ReadonlyMap<string, string | undefined> = new Map([
  ...['Status', 'Lock', 'Unlock', 'ListSlots', 'Backup', 'UploadCopy'].map((name) => [name, undefined] as const),
  ['Restore', 'io.cio.Credentials.BadCopy'],
]);

describe('Lock', () => {
  it('is refused to anyone but administrators', async (t) => {
    const core = await startCore(t);
    for (const person of [ALICE, RESTIC]) {
      assert.deepEqual(await core.refusal(person, 'Lock', {}), ['AccessDenied', { right: 'administer' }]);
    }
    assert.equal(core.vault.isLocked, false);
  });

  for (const [name, parameters] of Object.entries(CALLS) as [MethodName, object][]) {
    it(`makes ${name} ${ANSWERED.has(name) ? 'answer as ever' : 'answer Locked'} from then on`, async (t) => {
      const core = await startCore(t);
      await core.create(ROOT, 'token', 'cio_aws_access_key');
      assert.deepEqual(await core.ask(ROOT, 'Lock', {}), {});
      const [reply] = await core.send(ROOT, { method: `${INTERFACE_NAME}.${name}`, parameters, more: true });
      assert.ok(reply !== undefined);
      assert.equal(reply.error, ANSWERED.has(name) ? ANSWERED.get(name) : 'io.cio.Credentials.Locked');
    });
  }

  it('twice has the effect of once', async (t) => {
    const core = await startCore(t);
    for (let round = 0; round < 2; round += 1) assert.deepEqual(await core.ask(ROOT, 'Lock', {}), {});
    await core.ask(ROOT, 'Unlock', {});
  });

  it('waits for a rekey in progress', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, ...Array.from({ length: 500 }, (_, index) => `name-${index}`));
    const rekey = core.ask(ROOT, 'Rekey', {});
    await core.ask(ROOT, 'Lock', {});
    assert.equal((await rekey).keyEpoch, 2);
    await core.ask(ROOT, 'Unlock', {});
    assert.equal(await core.value(ROOT, 'name-499'), 'value-of-name-499');
  });
});
