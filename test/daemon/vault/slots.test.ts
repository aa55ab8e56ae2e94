import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { before, describe, it } from 'node:test';
import fc from 'fast-check';
import type { Slot } from '../../../src/protocol/interface.generated.ts';
import { newRecoveryCode, parseRecoveryCode } from '../../../daemon/vault/recovery-code.ts';
import { decodeSlot, describeSlot, encodeSlot, makeSlot, openSlot } from '../../../daemon/vault/slots.ts';
import type { NewSlot, SlotRecord, SlotSecret } from '../../../daemon/vault/slots.ts';
import { Sodium } from '../../../daemon/vault/sodium.ts';
import { cheapPassphraseSlot } from './cheap-slot.ts';

const STORE_ID = randomBytes(16);
const ROOT_KEY = randomBytes(32);
const KEY: SlotSecret = { key: randomBytes(32) };
const PASSPHRASE: SlotSecret = { passphrase: 'correct horse' };
const CREATED = 1_700_000_000_000;

let sodium: Sodium;
before(async () => {
  sodium = await Sodium.load();
});

const KINDS: Record<Slot['kind'], { slot: NewSlot; secret: SlotSecret; wrong: SlotSecret }> = {
  keyfile: { slot: { kind: 'keyfile', path: 'root.key' }, secret: KEY, wrong: { key: randomBytes(32) } },
  systemd: { slot: { kind: 'systemd', credential: 'root' }, secret: KEY, wrong: { key: new Uint8Array(32) } },
  recovery: {
    slot: { kind: 'recovery', label: 'in the safe' },
    secret: { key: parseRecoveryCode(newRecoveryCode()) ?? new Uint8Array() },
    wrong: { key: parseRecoveryCode(newRecoveryCode()) ?? new Uint8Array() },
  },
  passphrase: { slot: { kind: 'passphrase' }, secret: PASSPHRASE, wrong: { passphrase: 'correct horse ' } },
};

function make(slot: NewSlot, secret: SlotSecret = KEY): Promise<SlotRecord> {
  return makeSlot(sodium, STORE_ID, ROOT_KEY, slot, secret, CREATED);
}

async function opens(slot: SlotRecord, secret: SlotSecret = KEY, storeId: Uint8Array = STORE_ID): Promise<boolean> {
  const rootKey = await openSlot(sodium, storeId, slot, secret);
  if (rootKey === undefined) return false;
  assert.deepEqual(Buffer.from(rootKey), ROOT_KEY);
  sodium.release(rootKey);
  return true;
}

function throughFile(slot: object): SlotRecord | undefined {
  const { id } = slot as SlotRecord;
  return decodeSlot(Buffer.from(id), Buffer.from(JSON.stringify(slot)));
}

describe('makeSlot()', () => {
  for (const [kind, { slot, secret, wrong }] of Object.entries(KINDS)) {
    it(`makes a slot (${kind}) that only its secret opens, also after a round trip through the file`, async () => {
      const made = await make(slot, secret);
      const read = decodeSlot(Buffer.from(made.id), encodeSlot(made));
      assert.deepEqual(read, made);
      assert.ok(await opens(made, secret));
      // A passphrase slot takes half a second for each attempt. A wrong one is tried below, on a slot that takes none.
      if (kind === 'passphrase') return;
      assert.ok(!(await opens(made, wrong)));
      assert.ok(!(await opens(made, secret, randomBytes(16))), 'not in another store');
    });
  }

  it('gives each slot its own id, and records when it was made', async () => {
    const slots = await Promise.all(Array.from({ length: 20 }, () => make({ kind: 'recovery' })));
    assert.equal(new Set(slots.map(({ id }) => id)).size, 20);
    for (const { id, created } of slots) {
      assert.match(id, /^[0-9a-f]{8}$/);
      assert.equal(created, CREATED);
    }
  });

  it('wraps the root key differently for the same secret', async () => {
    const [a, b] = await Promise.all([make({ kind: 'recovery' }), make({ kind: 'recovery' })]);
    assert.notEqual(a.wrapped, b.wrapped);
    assert.ok(!(await opens({ ...a, wrapped: b.wrapped })), 'one does not open with what the other wrapped');
  });

  it('reveals nothing of the root key or the secret in clear', async () => {
    const body = Buffer.from(encodeSlot(await cheapPassphraseSlot(STORE_ID, ROOT_KEY, 'correct horse')));
    for (const secret of [ROOT_KEY, Buffer.from('correct horse')]) {
      for (const encoding of ['latin1', 'base64', 'hex'] as const) {
        assert.ok(!body.includes(secret.toString(encoding).slice(0, 12)));
      }
    }
  });

  it('leaves the secret and the root key unchanged', async () => {
    const key = randomBytes(32);
    const copy = Buffer.from(key);
    const root = Buffer.from(ROOT_KEY);
    await make({ kind: 'keyfile', path: 'a' }, { key });
    assert.deepEqual([key, ROOT_KEY], [copy, root]);
  });
});

describe('openSlot()', () => {
  it('refuses a slot with any clear field changed, removed or added', async () => {
    const slot = await make({ kind: 'keyfile', path: 'root.key', label: 'first' });
    const changes: Record<string, object> = {
      kind: { kind: 'systemd' },
      path: { path: '/root.key' },
      label: { label: 'First' },
      created: { created: CREATED + 1 },
      id: { id: '00000000' },
      credential: { credential: '' },
      scrypt: { scrypt: { N: 16, r: 1, p: 1, salt: '' } },
      unknown: { unknown: null },
    };
    assert.ok(await opens(slot));
    for (const [what, change] of Object.entries(changes)) {
      assert.ok(!(await opens({ ...slot, ...change })), `${what} changed`);
    }
    for (const field of ['path', 'label', 'created', 'kind'] as const) {
      const { [field]: _, ...without } = slot;
      assert.ok(!(await opens(without as SlotRecord)), `${field} taken out`);
    }
  });

  it('accepts the fields in any order', async () => {
    const slot = await make({ kind: 'keyfile', path: 'root.key', label: 'first' });
    const turned = Object.fromEntries(Object.entries(slot).toReversed()) as unknown as SlotRecord;
    assert.ok(await opens(turned));
  });

  it('opens a passphrase slot that another program made from the file format, but not with changed parameters', async () => {
    const slot = await cheapPassphraseSlot(STORE_ID, ROOT_KEY, 'Zu\u0308rich');
    const { scrypt } = slot;
    assert.ok(scrypt !== undefined);
    assert.ok(await opens(slot, { passphrase: 'Z\u00fcrich' }));
    assert.ok(!(await opens(slot, { passphrase: 'Zurich' })));
    assert.ok(!(await opens(slot, { passphrase: 'Z\u00fcrich' }, randomBytes(16))));
    for (const change of [{ N: 32 }, { N: 8 }, { r: 2 }, { p: 2 }, { salt: '' }, { salt: `${scrypt.salt} ` }]) {
      const changed = { ...slot, scrypt: { ...scrypt, ...change } };
      assert.ok(!(await opens(changed, { passphrase: 'Z\u00fcrich' })), JSON.stringify(change));
    }
  });

  it('refuses a wrapped key with any changed bit', async () => {
    const slot = await make({ kind: 'recovery' });
    const wrapped = Buffer.from(slot.wrapped, 'base64');
    for (let bit = 0; bit < wrapped.length * 8; bit += 1) {
      const changed = Buffer.from(wrapped);
      changed.writeUInt8(changed.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
      assert.ok(!(await opens({ ...slot, wrapped: changed.toString('base64') })));
    }
    for (const text of ['', '!', slot.wrapped.slice(4), slot.wrapped.slice(0, -4)]) {
      assert.ok(!(await opens({ ...slot, wrapped: text })));
    }
  });
});

describe('decodeSlot()', () => {
  it('returns undefined for anything that is not a slot', async () => {
    const slot = await make({ kind: 'keyfile', path: 'root.key' });
    const { scrypt } = await cheapPassphraseSlot(STORE_ID, ROOT_KEY, 'p');
    assert.deepEqual(throughFile(slot), slot);
    const odd: Record<string, object> = {
      'a kind that nobody knows': { kind: 'tpm' },
      'a kind of Object': { kind: 'toString' },
      'a path that is a number': { path: 5 },
      'a path that is longer than paths are': { path: 'x'.repeat(4097) },
      'a label without end': { label: 'x'.repeat(1024 * 1024) },
      'a path that is a list': { path: ['root.key'] },
      'a path that is null': { path: null },
      'a credential that is an object': { credential: {} },
      'a label that is a number': { label: 1 },
      'a time that is text': { created: '1' },
      'a time that is a fraction': { created: 1.5 },
      'no wrapped key': { wrapped: undefined },
      'a wrapped key that is a number': { wrapped: 1 },
      'a passphrase without its parameters': { kind: 'passphrase' },
      'a passphrase with null for parameters': { kind: 'passphrase', scrypt: null },
      'a passphrase with parameters out of bounds': { kind: 'passphrase', scrypt: { ...scrypt, N: 2 ** 30 } },
      'a passphrase with parameters that are text': { kind: 'passphrase', scrypt: { ...scrypt, r: '8' } },
    };
    for (const [what, change] of Object.entries(odd))
      assert.equal(throughFile({ ...slot, ...change }), undefined, what);
    const { id } = slot;
    for (const body of ['', 'null', '[]', '5', '"text"', '{', `{"id":"${id}"}`, '\0']) {
      assert.equal(decodeSlot(Buffer.from(id), Buffer.from(body)), undefined, body);
    }
    assert.equal(decodeSlot(Buffer.from('00000000'), encodeSlot(slot)), undefined, 'the tag of another slot');
  });

  it('never throws, and only returns slots that can be tried', async () => {
    const slot = await make({ kind: 'keyfile', path: 'root.key' });
    const field = fc.constantFrom('kind', 'path', 'label', 'credential', 'created', 'wrapped', 'scrypt', 'id');
    await fc.assert(
      fc.asyncProperty(field, fc.jsonValue(), async (name, value) => {
        const changed = { ...slot, [name]: value };
        const read = decodeSlot(Buffer.from(slot.id), Buffer.from(JSON.stringify(changed)));
        if (read !== undefined && read.kind !== 'passphrase') await opens(read);
      }),
    );
  });
});

describe('describeSlot()', () => {
  it('returns the label, or the place of the key, and nothing that opens the slot', async () => {
    const slot = await make({ kind: 'keyfile', path: 'root.key' });
    const { id, created } = slot;
    assert.deepEqual(describeSlot(slot), { id, kind: 'keyfile', created, label: 'root.key' });
    assert.equal(describeSlot({ ...slot, label: 'first' }).label, 'first');
    assert.equal(describeSlot(await make({ kind: 'systemd', credential: 'root' })).label, 'root');
    assert.ok(!('label' in describeSlot(await make({ kind: 'recovery' }))));
  });
});
