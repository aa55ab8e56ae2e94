import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { METHODS } from '../../../daemon/methods/table.ts';
import { parseInterface } from '../../../src/protocol/idl.ts';

const ROOT = join(import.meta.dirname, '..', '..', '..');
const { methods } = parseInterface(readFileSync(join(ROOT, 'src/protocol/io.cio.Credentials.varlink'), 'utf8'));

describe('METHODS', () => {
  it('has every method of the interface, and no other', () => {
    assert.deepEqual(Object.keys(METHODS).toSorted(), [...methods.keys()].toSorted());
  });

  it('has every method in a file named after it', () => {
    const files = readdirSync(join(ROOT, 'daemon/methods'));
    for (const name of methods.keys()) {
      const file = `${name.replaceAll(/(?<!^)[A-Z]/g, '-$&').toLowerCase()}.ts`;
      assert.ok(files.includes(file), file);
    }
  });
});
