import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { CredentialError } from '../../../src/errors.ts';
import { VALUE_BYTES_MAX } from '../../../src/limits.ts';
import { Emitter, NEVER } from '../../../daemon/emitter.ts';
import { AT_ONCE_BYTES_MAX, readInTurn } from '../../../daemon/methods/read-in-turn.ts';
import { TestVault } from '../vault/open-vault.ts';

const SOMEBODY = { uid: 3001 };

describe('readInTurn()', () => {
  it('answers a small read at once', async (t) => {
    const { vault } = await TestVault.create(t);
    const answer = readInTurn(vault, SOMEBODY, NEVER, (_, bytesMax) => ({ bytesMax }));
    assert.deepEqual(answer, { bytesMax: AT_ONCE_BYTES_MAX });
    // The largest value takes long, and hundreds of peers may ask for it together.
    assert.ok(AT_ONCE_BYTES_MAX <= VALUE_BYTES_MAX / 8);
  });

  it('answers one large read per turn of the event loop, in order, and small ones in between', async (t) => {
    const { vault } = await TestVault.create(t);
    const answered: number[] = [];
    const large = Array.from({ length: 4 }, async (_, index) =>
      readInTurn(vault, SOMEBODY, NEVER, (_reader, bytesMax) => {
        if (bytesMax <= AT_ONCE_BYTES_MAX) return undefined;
        answered.push(index);
        return {};
      }),
    );
    for (let turn = 0; turn < large.length; turn += 1) {
      assert.ok(answered.length <= turn, `${answered.length} in ${turn} turns`);
      assert.ok(!(readInTurn(vault, SOMEBODY, NEVER, () => ({})) instanceof Promise));
      await nextTurn();
    }
    await Promise.all(large);
    assert.deepEqual(answered, [0, 1, 2, 3]);
  });

  it('reads the state at its turn, and refuses what no longer exists', async (t) => {
    const made = await TestVault.create(t);
    await made.save('large', Buffer.alloc(AT_ONCE_BYTES_MAX + 1));
    // Committed at the end of this turn of the event loop; a read that begins in it does not see the change.
    const removed = made.remove('large');
    const answer = readInTurn(made.vault, SOMEBODY, NEVER, (reader, bytesMax) => {
      const record = reader.credential('system', 'large');
      if (record === undefined) throw new CredentialError('NotFound', { name: 'large' });
      return bytesMax > AT_ONCE_BYTES_MAX ? record : undefined;
    });
    await Promise.all([
      removed,
      assert.rejects(Promise.resolve(answer), (error) => error instanceof CredentialError && error.code === 'NotFound'),
    ]);
  });

  it('reads nothing for a caller that has left before its turn', async (t) => {
    const { vault } = await TestVault.create(t);
    const callerGone = new Emitter();
    let isRead = false;
    const answer = readInTurn(vault, SOMEBODY, callerGone.subscribe, (_, bytesMax) => {
      isRead ||= bytesMax > AT_ONCE_BYTES_MAX;
      return isRead ? {} : undefined;
    });
    callerGone.fire();
    await assert.rejects(Promise.resolve(answer), (error) => error instanceof CredentialError && error.code === 'Busy');
    assert.equal(isRead, false);
  });
});
