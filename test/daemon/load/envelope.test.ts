import assert from 'node:assert/strict';
import { createDecipheriv, createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { sealForSystemd } from '../../../daemon/load/envelope.ts';
import { run } from '../../support/process.ts';
import { command, skipUnless } from '../../support/requirements.ts';

const NOW = Date.UTC(2026, 0, 2);
const HEADER_BYTES = 48;
const TAG_BYTES = 16;

/** Decrypts as systemd's creds-util.c does. @throws Error where authentication fails */
function open(text: Uint8Array): { id: string; value: Buffer; timestamp: bigint; notAfter: bigint } {
  const blob = Buffer.from(Buffer.from(text).toString('latin1'), 'base64');
  const header = blob.subarray(0, HEADER_BYTES);
  const decipher = createDecipheriv('aes-256-gcm', createHash('sha256').digest(), header.subarray(32, 44), {
    authTagLength: TAG_BYTES,
  });
  decipher.setAAD(header).setAuthTag(blob.subarray(-TAG_BYTES));
  const plain = Buffer.concat([decipher.update(blob.subarray(HEADER_BYTES, -TAG_BYTES)), decipher.final()]);
  const nameBytes = plain.readUInt32LE(16);
  const start = Math.ceil((20 + nameBytes) / 8) * 8;
  return {
    id: plain.subarray(20, 20 + nameBytes).toString(),
    value: plain.subarray(start),
    timestamp: plain.readBigUInt64LE(0),
    notAfter: plain.readBigUInt64LE(8),
  };
}

describe('sealForSystemd()', () => {
  it('can be decrypted to the same name and bytes, and never expires', () => {
    fc.assert(
      fc.property(
        fc.stringMatching(/^[a-z0-9._-]{1,60}$/),
        fc.uint8Array({ minLength: 1, maxLength: 300 }),
        (id, value) => {
          const opened = open(sealForSystemd(id, value, NOW));
          assert.deepEqual(opened, {
            id,
            value: Buffer.from(value),
            timestamp: BigInt(NOW) * 1000n,
            notAfter: 0xffff_ffff_ffff_ffffn,
          });
        },
      ),
    );
  });

  it('is authenticated: no prefix of it, and nothing that differs from it, can be decrypted', () => {
    const text = sealForSystemd('id', Buffer.from('a value'), NOW);
    const blob = Buffer.from(text.toString('latin1'), 'base64');
    for (let length = 0; length < blob.length; length += 1) {
      assert.throws(() => open(Buffer.from(blob.subarray(0, length).toString('base64'))), `${length} bytes`);
    }
    // Bytes 16 to 31 are sizes that systemd checks separately; they are associated data like the rest of the header.
    for (let index = 0; index < blob.length; index += 1) {
      const other = Buffer.from(blob);
      other.writeUInt8(other.readUInt8(index) ^ 1, index);
      assert.throws(() => open(Buffer.from(other.toString('base64'))), `byte ${index}`);
    }
  });

  it('leaves no copy of the value but the returned text', (t) => {
    const parts: Uint8Array[] = [];
    const concat = Buffer.concat.bind(Buffer);
    t.mock.method(Buffer, 'concat', (list: readonly Uint8Array[], length?: number) => {
      const whole = concat(list, length);
      parts.push(...list, whole);
      return whole;
    });
    const text = sealForSystemd('id', Buffer.from('a value'), NOW);
    const sealed = parts.slice(-6);
    assert.deepEqual(
      sealed.map(({ length }) => length),
      [HEADER_BYTES, 24, 7, 0, TAG_BYTES, HEADER_BYTES + 24 + 7 + TAG_BYTES],
    );
    for (const part of sealed) assert.ok(part.every((byte) => byte === 0));
    assert.equal(open(text).value.toString(), 'a value');
  });

  it('begins with systemd’s id of the null key, and the sizes', () => {
    const blob = Buffer.from(sealForSystemd('id', Buffer.from('x'), NOW).toString('latin1'), 'base64');
    assert.equal(
      blob.subarray(0, 32).toString('hex'),
      '058469daf6f54324800549da0f8ea2fb20000000010000000c00000010000000',
    );
    assert.deepEqual(blob.subarray(44, 48), Buffer.alloc(4));
  });

  const hasTool = { skip: skipUnless(command('systemd-creds', 'systemd')) };

  it('is decrypted by systemd, under its own name only', hasTool, async () => {
    const value = Buffer.from(Array.from({ length: 1000 }, (_, index) => index % 256));
    const input = sealForSystemd('cio_aws_backup_password', value, NOW);
    const decrypt = (name: string, blob: Uint8Array): ReturnType<typeof run> =>
      run(['systemd-creds', 'decrypt', `--name=${name}`, '-', '-'], { input: blob });
    const { code, stdout, stderr } = await decrypt('cio_aws_backup_password', input);
    assert.equal(code, 0, stderr);
    assert.deepEqual(stdout, value);
    assert.notEqual((await decrypt('cio_aws_secret_key', input)).code, 0);
    assert.notEqual((await decrypt('cio_aws_backup_password', input.subarray(0, 200))).code, 0);
    assert.notEqual((await decrypt('cio_aws_backup_password', Buffer.alloc(0))).code, 0);
  });
});
