import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { assertUnseen, Canaries } from './canary.ts';
import { Service } from './process.ts';
import { temporaryDirectory } from './temporary-directory.ts';

const SECRET = 'pä/ss+word "7%\\ ~canary';

describe('Canaries', () => {
  const canaries = new Canaries();
  canaries.add('the secret', SECRET);

  const forms: Record<string, string | Uint8Array> = {
    clear: SECRET,
    hex: Buffer.from(SECRET).toString('hex'),
    HEX: Buffer.from(SECRET).toString('hex').toUpperCase(),
    url: encodeURIComponent(SECRET),
    'url, lower case': encodeURIComponent(SECRET).replaceAll(/%../g, (escape) => escape.toLowerCase()),
    'form data': new URLSearchParams({ x: SECRET }).toString(),
    json: JSON.stringify({ value: SECRET }),
    'json, slashes escaped': JSON.stringify(SECRET).replaceAll('/', '\\/'),
    'json, ASCII only': JSON.stringify(SECRET).replace('ä', '\\u00e4'),
    'UTF-16': Buffer.from(SECRET, 'utf16le'),
  };
  for (const offset of [0, 1, 2]) {
    const around = Buffer.from(`${'<'.repeat(3 + offset)}${SECRET}>`);
    forms[`base64, offset ${offset}`] = around.toString('base64');
    forms[`base64url, offset ${offset}`] = around.toString('base64url');
  }

  for (const [form, content] of Object.entries(forms)) {
    test(`findIn() finds a secret written as: ${form}`, () => {
      const bytes = Buffer.concat([Buffer.from('before '), Buffer.from(content as Uint8Array), Buffer.from(' after')]);
      const found = canaries.findIn('here', bytes).map((sighting) => sighting.form);
      assert.ok(found.includes(form), `found: ${found.join('; ')}`);
    });
  }

  test('findIn() finds nothing in content that only resembles the secret', () => {
    assertUnseen(canaries.findIn('here', SECRET.slice(1)));
    assertUnseen(canaries.findIn('here', Buffer.from(SECRET.slice(0, -1)).toString('base64')));
  });

  test('findInFiles() finds a secret in a file of a nested folder, and in a file name', (t) => {
    const directory = temporaryDirectory(t);
    fs.mkdirSync(path.join(directory, 'a', 'b'), { recursive: true });
    fs.writeFileSync(path.join(directory, 'a', 'b', 'file'), Buffer.from(`\0\0${SECRET}`));
    fs.writeFileSync(path.join(directory, encodeURIComponent(SECRET)), '');
    const places = canaries.findInFiles(directory).map(({ form, where }) => `${form} in ${path.basename(where)}`);
    assert.deepEqual(new Set(places), new Set(['clear in file', `url in ${encodeURIComponent(SECRET)}`]));
  });

  test('findInProcess() finds a secret in arguments and environment', async (t) => {
    const script = 'console.log("up"); setInterval(() => undefined, 1e6)';
    const service = new Service(t, [process.execPath, '-e', script, SECRET], { env: { OTHER: SECRET } });
    await service.printed('up');
    const files = canaries.findInProcess(service.pid).map(({ where }) => path.basename(where));
    assert.deepEqual(new Set(files), new Set(['cmdline', 'environ']));
  });

  test('plant() makes secrets that are found only where they were planted', () => {
    const planted = new Canaries();
    const first = planted.plant('first');
    const second = planted.plantWord('second');
    const seen = planted.findIn('here', first);
    assert.deepEqual([...new Set(seen.map(({ secret }) => secret))], ['first']);
    assert.throws(() => assertUnseen(seen), /planted secrets were found/);
    assert.match(second, /^second[0-9a-f]{32}$/);
    assertUnseen(planted.findIn('here', second.slice(1)));
  });
});
