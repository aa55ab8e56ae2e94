import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { CredentialError } from '../../../src/errors.ts';
import { VALUE_BYTES_MAX } from '../../../src/limits.ts';
import { Departure, NEVER_GONE } from '../../../daemon/gone.ts';
import { AT_ONCE_BYTES_MAX, readInTurn } from '../../../daemon/methods/read-in-turn.ts';
import { TestVault } from '../vault/open-vault.ts';

const SOMEBODY = { uid: 3001 };

describe('readInTurn()', () => {
  it('answers at once what is small', async (t) => {
    const { vault } = await TestVault.create(t);
    const answer = readInTurn(vault, SOMEBODY, NEVER_GONE, (_, bytesMax) => ({ bytesMax }));
    assert.deepEqual(answer, { bytesMax: AT_ONCE_BYTES_MAX });
    // The largest value takes long: hundreds of peers may ask for it together.
    assert.ok(AT_ONCE_BYTES_MAX <= VALUE_BYTES_MAX / 8);
  });

  it('answers one that is large in each turn of the event loop, in their order, and small ones in between', async (t) => {
    const { vault } = await TestVault.create(t);
    const answered: number[] = [];
    const large = Array.from({ length: 4 }, async (_, index) =>
      readInTurn(vault, SOMEBODY, NEVER_GONE, (_reader, bytesMax) => {
        if (bytesMax <= AT_ONCE_BYTES_MAX) return undefined;
        answered.push(index);
        return {};
      }),
    );
    for (let turn = 0; turn < large.length; turn += 1) {
      assert.ok(answered.length <= turn, `${answered.length} in ${turn} turns`);
      assert.ok(!(readInTurn(vault, SOMEBODY, NEVER_GONE, () => ({})) instanceof Promise));
      await nextTurn();
    }
    await Promise.all(large);
    assert.deepEqual(answered, [0, 1, 2, 3]);
  });

  it('reads what there is when its turn comes, and refuses what is not there any more', async (t) => {
    const made = await TestVault.create(t);
    await made.save('large', Buffer.alloc(AT_ONCE_BYTES_MAX + 1));
    // Committed at the end of this turn of the event loop, and seen by none that begins in it.
    const removed = made.remove('large');
    const answer = readInTurn(made.vault, SOMEBODY, NEVER_GONE, (reader, bytesMax) => {
      const record = reader.credential('system', 'large');
      if (record === undefined) throw new CredentialError('NotFound', { name: 'large' });
      return bytesMax > AT_ONCE_BYTES_MAX ? record : undefined;
    });
    await Promise.all([
      removed,
      assert.rejects(Promise.resolve(answer), (error) => error instanceof CredentialError && error.code === 'NotFound'),
    ]);
  });

  it('reads nothing for who has left when its turn comes', async (t) => {
    const { vault } = await TestVault.create(t);
    const departure = new Departure();
    let isRead = false;
    const answer = readInTurn(vault, SOMEBODY, departure.gone, (_, bytesMax) => {
      isRead ||= bytesMax > AT_ONCE_BYTES_MAX;
      return isRead ? {} : undefined;
    });
    departure.tell();
    await assert.rejects(Promise.resolve(answer), (error) => error instanceof CredentialError && error.code === 'Busy');
    assert.equal(isRead, false);
  });
});
