import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import crypto from 'node:crypto';
import { syncBuiltinESMExports } from 'node:module';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { areUsable, deriveFromPassphrase, newScryptParameters } from '../../../daemon/vault/passphrase.ts';
import type { ScryptParameters } from '../../../daemon/vault/passphrase.ts';
import { command, skipUnless } from '../../support/requirements.ts';

const CHEAP: ScryptParameters = { N: 16, r: 1, p: 1, salt: Buffer.from('salt').toString('base64') };

async function derive(passphrase: string, parameters: Partial<ScryptParameters> = {}): Promise<string> {
  return Buffer.from(await deriveFromPassphrase(passphrase, { ...CHEAP, ...parameters })).toString('hex');
}

describe('newScryptParameters()', () => {
  it('returns the chosen cost, with a new salt each time', () => {
    const { salt, ...cost } = newScryptParameters();
    assert.deepEqual(cost, { N: 2 ** 17, r: 8, p: 1 });
    assert.equal(Buffer.from(salt, 'base64').length, 16);
    assert.notEqual(newScryptParameters().salt, salt);
    assert.ok(areUsable(newScryptParameters()));
  });
});

describe('deriveFromPassphrase()', () => {
  it('is scrypt (RFC 7914, section 12)', async () => {
    const salt = Buffer.from('NaCl').toString('base64');
    assert.equal(
      await derive('password', { N: 1024, r: 8, p: 16, salt }),
      'fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b373162',
    );
  });

  it('gives the same key for composed and decomposed letters', async () => {
    assert.equal(await derive('Zu\u0308rich'), await derive('Z\u00fcrich'));
    assert.notEqual(await derive('Zurich'), await derive('Z\u00fcrich'));
  });

  it('depends on the passphrase, the salt and every parameter', async () => {
    const keys = await Promise.all([
      derive('a'),
      derive('A'),
      derive('a '),
      derive('a', { salt: Buffer.from('other').toString('base64') }),
      derive('a', { N: 32 }),
      derive('a', { r: 2 }),
      derive('a', { p: 2 }),
    ]);
    assert.equal(new Set(keys).size, keys.length);
  });

  it('refuses parameters out of bounds before it allocates memory', async () => {
    await assert.rejects(derive('a', { N: 2 ** 30 }), RangeError);
  });

  it(
    'reports memory that the system refuses, and works once there is some',
    {
      skip: skipUnless(command('prlimit', 'util-linux')),
    },
    () => {
      const program = `
      const { deriveFromPassphrase, newScryptParameters } = await import(process.argv[1] + 'passphrase.ts');
      const { Sodium } = await import(process.argv[1] + 'sodium.ts');
      const { execFileSync } = await import('node:child_process');
      const { readFileSync } = await import('node:fs');
      const limit = (bytes) => execFileSync('prlimit', ['--pid', String(process.pid), '--as=' + bytes + ':']);
      const derive = () => deriveFromPassphrase('x', newScryptParameters());
      await Sodium.load();
      limit(1024 * (Number(/VmSize:\\s+(\\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1]) + 64 * 1024));
      await derive().catch(({ code, fields }) => console.log(code, JSON.stringify(fields)));
      limit('unlimited');
      console.log((await derive()).length);`;
      const module = new URL('../../../daemon/vault/', import.meta.url).href;
      const said = execFileSync(process.execPath, ['--input-type=module', '-e', program, module], { encoding: 'utf8' });
      assert.equal(said, 'OutOfMemory {"bytes":134217728}\n32\n');
    },
  );

  it('wipes the bytes of the passphrase, even if no key can be derived', async (t) => {
    const texts: Uint8Array[] = [];
    const { scrypt } = crypto;
    t.mock.method(crypto, 'scrypt', (...args: Parameters<typeof scrypt>) => {
      const text = args[0] as Uint8Array;
      assert.equal(Buffer.from(text).toString(), 'passphrase');
      texts.push(text);
      if (texts.length > 1) throw new RangeError('it fails');
      scrypt(...args);
    });
    syncBuiltinESMExports();
    try {
      await derive('passphrase');
      await assert.rejects(derive('passphrase'), RangeError);
    } finally {
      t.mock.restoreAll();
      syncBuiltinESMExports();
    }
    assert.equal(texts.length, 2);
    for (const text of texts) assert.ok(text.every((byte) => byte === 0));
  });

  it('works with all parameters that areUsable() accepts', async () => {
    const power = fc.integer({ min: 0, max: 12 }).map((exponent) => 2 ** exponent);
    const number = fc.oneof(power, fc.integer({ min: -1, max: 2000 }), fc.constantFrom(0.5, NaN, 2 ** 53));
    await fc.assert(
      fc.asyncProperty(power, number, number, fc.string(), async (N, r, p, salt) => {
        const parameters = { N, r, p, salt };
        if (!areUsable(parameters) || N * r * p > 2 ** 14) return;
        assert.equal((await deriveFromPassphrase('passphrase', parameters)).length, 32);
      }),
      { numRuns: 200 },
    );
  });
});

describe('areUsable()', () => {
  const hostile: Record<string, object> = {
    'N that asks for 2 GiB': { N: 2 ** 21, r: 8 },
    'N that asks for 512 MiB': { N: 2 ** 19, r: 8 },
    'N and r that together ask for 512 MiB': { N: 2 ** 17, r: 32 },
    'N beyond any memory': { N: 2 ** 40 },
    'N that is not a power of two': { N: 1000 },
    'N of 1': { N: 1 },
    'N of 0': { N: 0 },
    'a negative N': { N: -16 },
    'N as text': { N: '16' },
    'N that is infinite': { N: Infinity },
    'N that is not a number': { N: NaN },
    'no N': { N: undefined },
    'N too large for its r (RFC 7914, section 6)': { N: 2 ** 17, r: 1 },
    'r of 0': { r: 0 },
    'r that asks for 8 GiB through p': { N: 2, r: 2 ** 22, p: 16 },
    'a large r': { N: 16, r: 4096 },
    'r as text': { r: '8' },
    'a fraction of r': { r: 1.5 },
    'p of 0': { p: 0 },
    'p that takes days': { p: 2 ** 20 },
    'a negative p': { p: -1 },
    'no p': { p: undefined },
    'a salt that is a number': { salt: 5 },
    'no salt': { salt: undefined },
  };
  for (const [what, change] of Object.entries(hostile)) {
    it(`refuses ${what}`, () => {
      assert.equal(areUsable({ ...CHEAP, ...change }), false);
    });
  }

  it('accepts up to 256 MiB, and the parameters that slots are made with', () => {
    assert.equal(areUsable({ ...CHEAP, N: 2 ** 18, r: 8 }), true);
    assert.equal(areUsable({ ...CHEAP, N: 2 ** 16, r: 32, p: 16 }), true);
    assert.equal(areUsable(newScryptParameters()), true);
  });
});
