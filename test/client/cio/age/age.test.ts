import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Encrypter, generateX25519Identity, identityToRecipient } from 'age-encryption';
import { decryptAge, encryptAge, wantsPassphrase } from '../../../../client/cio/age/age.ts';
import { EXIT } from '../../../../src/errors.ts';
import { isAgeFile, isArmored } from '../../../../client/cio/age/age-file.ts';
import { CommandError } from '../../../../client/cio/command-error.ts';

const identity = await generateX25519Identity();
const recipient = await identityToRecipient(identity);
const PLAIN = Buffer.from('what is encrypted');

async function refusalOf(work: Promise<unknown>): Promise<string> {
  const error = await work.then(
    () => assert.fail('it is taken'),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof CommandError, String(error));
  return error.message;
}

describe('encryptAge() and decryptAge()', () => {
  it('round-trip any plaintext, armored or not', async () => {
    for (const armor of [false, true]) {
      for (const plain of [PLAIN, new Uint8Array(0), Buffer.alloc(200_000, 7)]) {
        const file = await encryptAge(plain, { recipients: [recipient] }, armor);
        assert.deepEqual([isAgeFile(file), isArmored(file), wantsPassphrase(file)], [true, armor, false]);
        assert.deepEqual(Buffer.from(await decryptAge(file, { identities: [identity] })), Buffer.from(plain));
      }
    }
  });

  it('decrypt with the right passphrase only', async () => {
    const encrypter = new Encrypter();
    encrypter.setPassphrase('right');
    // Like a file that age writes, at a thousandth of its scrypt cost.
    encrypter.setScryptWorkFactor(8);
    const file = await encrypter.encrypt(PLAIN);
    assert.equal(wantsPassphrase(file), true);
    assert.deepEqual(Buffer.from(await decryptAge(file, { passphrase: 'right' })), PLAIN);
    assert.match(await refusalOf(decryptAge(file, { passphrase: 'wrong' })), /passphrase does not open/);
    await assert.rejects(decryptAge(file, { passphrase: 'wrong' }), { code: 'WrongKey', exit: EXIT.accessDenied });
  });

  it('refuse malformed and wrong keys, and never repeat a key in the message', async () => {
    const file = await encryptAge(PLAIN, { recipients: [recipient] }, false);
    const other = await generateX25519Identity();
    assert.match(await refusalOf(decryptAge(file, { identities: [other] })), /none of the identities/);
    await assert.rejects(decryptAge(file, { identities: [other] }), { code: 'WrongKey', exit: EXIT.accessDenied });
    for (const wrong of ['', 'AGE-SECRET-KEY-1BOGUS', recipient, 'AGE-PLUGIN-X-1']) {
      const told = await refusalOf(decryptAge(file, { identities: [wrong] }));
      assert.ok(wrong === '' || !told.includes(wrong), told);
    }
    assert.match(await refusalOf(encryptAge(PLAIN, { recipients: [identity] }, false)), /an identity/);
  });

  it('refuse a file that is damaged or truncated anywhere', async () => {
    for (const armor of [false, true]) {
      const file = Buffer.from(await encryptAge(PLAIN, { recipients: [recipient] }, armor));
      // The newline after the armor's last line is not part of the armor.
      const length = file.toString('latin1').trimEnd().length;
      for (let end = 24; end < (armor ? length : file.length); end += 7) {
        await refusalOf(decryptAge(file.subarray(0, end), { identities: [identity] }));
      }
      for (let at = armor ? 40 : 0; at < length - (armor ? 40 : 0); at += 11) {
        const changed = Buffer.from(file);
        changed.writeUInt8(changed.readUInt8(at) ^ 1, at);
        await refusalOf(decryptAge(changed, { identities: [identity] }));
      }
    }
  });
});

describe('isAgeFile()', () => {
  it('accepts white space before armor, and rejects anything that is not an age file', () => {
    const armor = '-----BEGIN AGE ENCRYPTED FILE-----';
    assert.equal(isAgeFile(Buffer.from(`\r\n  ${armor}\n`)), true);
    assert.equal(isAgeFile(Buffer.from('age-encryption.org/v1\n-> X25519 ')), true);
    for (const text of ['', 'age', ' age-encryption.org/v1\n', '{}', `x${armor}`, armor.slice(0, -1)]) {
      assert.equal(isAgeFile(Buffer.from(text)), false, text);
    }
  });
});
