import assert from 'node:assert/strict';
import { scryptSync } from 'node:crypto';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { openKey } from '../../../../daemon/prober/restic/master-key.ts';
import type { Refusal } from '../../../../daemon/prober/restic/refusal.ts';
import type { SealingKey } from '../../../../daemon/prober/restic/sealed.ts';
import { countDerivations } from './derivations.ts';
import { makeKeyFile, masterJson, named, randomKey } from './reference.ts';
import { watchWipes } from './wiped.ts';

const PASSWORD = 'correct horse battery staple';
const MASTER = randomKey();
const password: Uint8Array = Buffer.from(PASSWORD);

/** A changed byte: where, and the mask of its changed bits. */
const mutation = fc.record({ place: fc.nat(), mask: fc.integer({ min: 1, max: 255 }) });

function mutate(bytes: Uint8Array, { place, mask }: { readonly place: number; readonly mask: number }): Uint8Array {
  const mutated = Uint8Array.from(bytes);
  const index = place % mutated.length;
  mutated[index] = (mutated[index] ?? 0) ^ mask;
  return mutated;
}

async function open(options: Partial<Parameters<typeof makeKeyFile>[0]> = {}): Promise<SealingKey | Refusal> {
  const { bytes, name } = makeKeyFile({ password: PASSWORD, master: MASTER, ...options });
  return openKey(password, bytes, name);
}

describe('openKey()', () => {
  it('returns the master key for the right password', async () => {
    const master = await open();
    assert.ok(!('reason' in master));
    assert.equal(masterJson(master), masterJson(MASTER));
  });

  for (const other of [PASSWORD.toUpperCase(), ` ${PASSWORD}`, `${PASSWORD}\n`, PASSWORD.slice(1), 'x']) {
    it(`reports a wrong password: ${JSON.stringify(other)}`, async () => {
      assert.deepEqual(await open({ password: other }), { reason: 'wrong_password' });
    });
  }

  it('does not change the password', async () => {
    await open();
    assert.equal(Buffer.from(password).toString(), PASSWORD);
  });

  const json = JSON.parse(masterJson(MASTER)) as { mac: { k: string; r: string }; encrypt: string };
  const short = Buffer.alloc(15, 1).toString('base64');
  const texts: readonly (readonly [what: string, text: string])[] = [
    ['nothing', ''],
    ['no JSON', 'master'],
    ['no object', '[]'],
    ['no mac', JSON.stringify({ encrypt: json.encrypt })],
    ['no encrypt', JSON.stringify({ mac: json.mac })],
    ['k too short', JSON.stringify({ ...json, mac: { ...json.mac, k: short } })],
    ['r too long', JSON.stringify({ ...json, mac: { ...json.mac, r: json.encrypt } })],
    ['encrypt too short', JSON.stringify({ ...json, encrypt: short })],
    ['a key of zeros', JSON.stringify({ ...json, encrypt: Buffer.alloc(32).toString('base64') })],
  ];
  for (const [what, text] of texts) {
    it(`reports not_a_repository for a key that opens and contains ${what}`, async () => {
      const { bytes, name } = makeKeyFile({ password: PASSWORD, master: MASTER, text });
      assert.deepEqual(await openKey(password, bytes, name), { reason: 'not_a_repository', subject: `keys/${name}` });
    });
  }

  it('wipes the derived key, the opened text, and an unusable master key', async (t) => {
    const useless = { encrypt: randomKey().encrypt, macK: new Uint8Array(16), macR: randomKey().macR };
    for (const [master, password] of [
      [MASTER, PASSWORD],
      [MASTER, 'another'],
      [useless, PASSWORD],
    ] as const) {
      const wiped = watchWipes(t);
      const { bytes, name } = makeKeyFile({ password, master });
      await openKey(Buffer.from(PASSWORD), bytes, name);
      const { salt } = JSON.parse(Buffer.from(bytes).toString()) as { readonly salt: string };
      const derived = scryptSync(PASSWORD, Buffer.from(salt, 'base64'), 64, { N: 2, r: 1, p: 1 });
      for (const part of [derived.subarray(0, 32), derived.subarray(32, 48), derived.subarray(48)])
        assert.ok(wiped.has(part));
      assert.equal(wiped.has(Buffer.from(masterJson(master))), password === PASSWORD);
      for (const part of [master.encrypt, master.macR]) assert.equal(wiped.has(part), master === useless);
      t.mock.restoreAll();
    }
  });

  it('reports not_a_repository for a nonce of zeros, whatever the password', async () => {
    for (const other of [PASSWORD, 'x']) {
      const refused = await open({ password: other, nonce: new Uint8Array(16) });
      assert.ok('reason' in refused);
      assert.equal(refused.reason, 'not_a_repository');
    }
  });

  it('derives one key, and none for a file that does not match its name', async () => {
    const { bytes, name } = makeKeyFile({ password: PASSWORD, master: MASTER });
    assert.equal(await countDerivations(() => openKey(password, bytes, name)), 1);
    const derivations = await countDerivations(() =>
      fc.assert(
        fc.asyncProperty(mutation, async (change) => {
          const refused = await openKey(password, mutate(bytes, change), name);
          assert.deepEqual(refused, { reason: 'not_a_repository', subject: `keys/${name}` });
        }),
        { numRuns: 500 },
      ),
    );
    assert.equal(derivations, 0);
  });

  it('never returns another master key, nor throws, for a changed file with a matching name', async () => {
    const { bytes } = makeKeyFile({ password: PASSWORD, master: MASTER });
    const outcomes = new Map<string, number>();
    for (let place = 0; place < bytes.length; place += 1) {
      for (const mask of [1, 4, 32, 255]) {
        const file = named(mutate(bytes, { place, mask }));
        const result = await openKey(password, file.bytes, file.name);
        if (!('reason' in result)) assert.equal(masterJson(result), masterJson(MASTER));
        const outcome = 'reason' in result ? result.reason : 'opened';
        outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
      }
    }
    // Names and times are free; the salt and the sealed data decide about the password; the rest is checked for its
    // format.
    assert.deepEqual([...outcomes.keys()].toSorted(), ['not_a_repository', 'opened', 'wrong_password']);
  });

  it('derives nothing for parameters out of bounds', async () => {
    const power = (max: number): fc.Arbitrary<number> => fc.nat(max).map((exponent) => 2 ** exponent);
    const anyNumber = fc.oneof(fc.integer(), fc.maxSafeInteger(), fc.double({ noNaN: true }), power(60));
    const members = fc.oneof(
      // Too much work.
      fc.record({ N: power(10).map((N) => N * 2 ** 23), r: fc.constant(8), p: fc.integer({ min: 1, max: 100 }) }),
      // Too much memory.
      fc.record({ N: power(4).map((N) => N * 2 ** 14), r: fc.integer({ min: 129, max: 2 ** 20 }), p: fc.constant(1) }),
      // Invalid parameters.
      fc.record({ N: anyNumber.filter((N) => !Number.isInteger(Math.log2(N)) || N < 2), r: anyNumber, p: anyNumber }),
      fc.record({ N: power(40), r: anyNumber.filter((r) => r < 1 || !Number.isInteger(r)), p: anyNumber }),
      fc.record({ N: power(40), r: fc.constant(8), p: anyNumber.filter((p) => p < 1 || p > 2 ** 23) }),
    );
    const { bytes } = makeKeyFile({ password: PASSWORD, master: MASTER });
    const object = JSON.parse(Buffer.from(bytes).toString()) as object;
    const started = performance.now();
    const derivations = await countDerivations(() =>
      fc.assert(
        fc.asyncProperty(members, async (members) => {
          const file = named(Buffer.from(JSON.stringify({ ...object, ...members })));
          const refused = await openKey(password, file.bytes, file.name);
          assert.ok('reason' in refused);
          assert.match(refused.reason, /^(not_a_repository|untrusted_parameters)$/);
        }),
        { numRuns: 500 },
      ),
    );
    assert.equal(derivations, 0);
    // One derivation at the bounds takes seconds.
    assert.ok(performance.now() - started < 20_000);
  });
});
