import assert from 'node:assert/strict';
import path from 'node:path';
import { describe, it } from 'node:test';
import { migrate } from '../../../daemon/store/migrations.ts';
import { hasOwnSchema } from '../../../daemon/store/schema.ts';
import { memoryDirectory } from '../vault/memory-directory.ts';
import { editFile } from '../vault/raw-file.ts';

describe('hasOwnSchema()', () => {
  it('compares the schema of a file with the one that the migrations make', (t) => {
    const file = path.join(memoryDirectory(t), 'credentials.db');
    const isOwn = (sql: string): boolean => {
      let answer = false;
      editFile(file, (database) => {
        database.exec(sql);
        answer = hasOwnSchema(database);
      });
      return answer;
    };
    assert.equal(isOwn(''), true, 'nothing is there, and nothing was to be made');
    editFile(file, (database) => migrate(database));
    assert.equal(isOwn(''), true);
    assert.equal(isOwn('PRAGMA user_version = 0'), false, 'an older version has no such table');
    editFile(file, (database) => database.exec('PRAGMA user_version = 1'));
    assert.equal(isOwn('CREATE TRIGGER x AFTER DELETE ON record BEGIN DELETE FROM record; END'), false);
    assert.equal(isOwn('DROP TRIGGER x'), true);
  });
});
