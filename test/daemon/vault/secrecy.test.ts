import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { KIND } from '../../../daemon/store/sealed-store.ts';
import { Canaries, assertUnseen } from '../../support/canary.ts';
import { NOW, TestVault } from './open-vault.ts';
import { rowsOf } from './raw-file.ts';

/** Searches the files of the store, which is everything but the key file. */
function findInStore(canaries: Canaries, directory: string): ReturnType<Canaries['findIn']> {
  return fs
    .readdirSync(directory)
    .filter((name) => name.startsWith('credentials.db'))
    .flatMap((name) => canaries.findIn(name, fs.readFileSync(path.join(directory, name))));
}

describe('the files of a store', () => {
  it('show no name, value, owner, grant or unit, in any encoding and at any time', async (t) => {
    const canaries = new Canaries();
    const made = await TestVault.create(t);
    const [first, second] = ['first', 'second'].map((name) => canaries.plantWord(name));
    assert.ok(first !== undefined && second !== undefined);
    const set = canaries.plantWord('set');
    // As short as the tag of a record.
    const short = canaries.add('short name', randomBytes(6).toString('hex'));
    const unit = `${canaries.plantWord('unit')}.service`;
    const owner = canaries.add('owner', 'uid:4123456789');
    const group = canaries.add('group', 'gid:4123456788');
    const bytes = canaries.add('bytes', randomBytes(2000).subarray(0, 40));
    canaries.add('word of a record', '"versions"');
    canaries.add('word of a list of grants', '"grants"');
    const { recoveryCode = '' } = await made.slots.add({ kind: 'recovery' });
    canaries.add('recovery code', recoveryCode);
    canaries.add('recovery code, without dashes', recoveryCode.replaceAll('-', ''));
    const passphrase = canaries.plant('passphrase');
    await made.slots.add({ kind: 'passphrase', passphrase });
    const keyFile = fs.readFileSync(path.join(made.directory, 'root.key'), 'utf8').trim();
    canaries.add('key of a slot', Buffer.from(keyFile, 'base64'));
    canaries.add('root key', Uint8Array.from(made.vault.unlocked().rootKey));

    const look = (): void => assertUnseen(findInStore(canaries, made.directory));
    await made.save(first, canaries.plant('value'));
    await made.save(first, canaries.plant('second value'));
    await made.save(second, Buffer.concat([randomBytes(30_000), bytes, randomBytes(30_000)]), owner);
    await made.save(short, 'value');
    const health = { space: 'system', set: short, generation: 1, state: 'passed', checked: NOW, good: NOW } as const;
    await made.vault.write((writer) => writer.putHealth(health));
    look();
    await made.grant(`unit:${unit}`, { space: 'system', kind: 'set', target: set });
    await made.grant(group, { space: 'system', kind: 'name', target: first });
    look();
    await made.remove(first);
    look();
    await made.rekey();
    look();
    await made.save(second, canaries.plant('last value'));
    await made.close();
    look();
    assert.ok(fs.readFileSync(made.path).includes('keyfile'), 'what a slot says of itself is in clear');
  });

  it('show the size of a value only roughly', async (t) => {
    const made = await TestVault.create(t);
    const lengths = Array.from({ length: 150 }, (_, index) => index + 1);
    await Promise.all(lengths.map((length) => made.save(`a${length}`, 'x'.repeat(length))));
    const sizes = (kind: number): Set<number> => new Set(rowsOf(made.path, kind).map(({ body }) => body.length));
    assert.ok(sizes(KIND.credential).size <= 2);
    const large = await TestVault.create(t);
    await Promise.all(lengths.map((length) => large.save(`a${length}`, 'x'.repeat(60_000 + length))));
    const few = new Set(rowsOf(large.path, KIND.value).map(({ body }) => body.length));
    assert.ok(few.size <= 2, [...few].join());
  });

  it('do not show which value belongs to which name, nor the order in which they were stored', async (t) => {
    const made = await TestVault.create(t);
    const order: string[] = [];
    let known = new Set(rowsOf(made.path, KIND.credential).map(({ tag }) => tag.toString('hex')));
    for (let index = 0; index < 40; index += 1) {
      await made.save(`a${index}`, 'value');
      const tags = rowsOf(made.path, KIND.credential).map(({ tag }) => tag.toString('hex'));
      order.push(...tags.filter((tag) => !known.has(tag)));
      known = new Set(tags);
    }
    assert.notDeepEqual(order, order.toSorted());
    const all = rowsOf(made.path);
    const tags = all.filter(({ kind }) => kind >= KIND.principal).map(({ tag }) => tag);
    for (const tag of tags)
      assert.ok(
        all.every(({ body }) => !body.includes(tag)),
        'no record names another one',
      );
  });

  it('have other tags and bodies for the same name and value in another store', async (t) => {
    const [a, b] = [await TestVault.create(t), await TestVault.create(t)];
    for (const made of [a, b]) await made.save('cio_aws_secret_key', 'the same value');
    const parts = [a, b].map(({ path: file }) =>
      rowsOf(file)
        .filter(({ kind }) => kind >= KIND.principal)
        .flatMap(({ tag, body }) => [tag.toString('hex'), body.toString('hex')]),
    );
    assert.ok(parts[0]?.every((part) => !parts[1]?.includes(part)));
  });
});
