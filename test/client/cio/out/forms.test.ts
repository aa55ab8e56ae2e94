import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { FORMS } from '../../../../client/cio/out/forms.ts';

describe('FORMS', () => {
  it("are those in README's table, in its order", () => {
    const readme = fs.readFileSync(path.join(import.meta.dirname, '../../../../README.md'), 'utf8');
    const [, row = ''] = /^\| .*`get SET -o FORM` \|.* a set as (.*) \|$/m.exec(readme) ?? [];
    assert.deepEqual(
      row.split(' ').map((word) => word.replaceAll('`', '')),
      FORMS,
    );
  });
});
