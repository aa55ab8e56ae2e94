import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import Database from 'better-sqlite3';
import { StoreError } from '../../../daemon/store/sealed-store.ts';
import { SqliteStore } from '../../../daemon/store/sqlite-store.ts';
import { skipUnless } from '../../support/requirements.ts';
import type { Scope } from '../../support/scope.ts';
import { ROOT, startCore } from '../core.ts';
import { deleteRecord, flipBit, recordsIn } from '../damage.ts';
import { leaveRoom, mounting, smallDisk } from '../store/small-disk.ts';
import { memoryDirectory } from '../vault/memory-directory.ts';
import { editFile } from '../vault/raw-file.ts';
import { assertWhole, coreWithCopy, restore, sha256Of, takeCopy, upload } from './copies.ts';

/** Returns a copy after `edit` has changed its file. */
function edited(scope: Scope, bytes: Uint8Array, edit: (file: string) => void): Buffer {
  const file = path.join(memoryDirectory(scope), 'copy.db');
  fs.writeFileSync(file, bytes);
  edit(file);
  // Moves the changes into the file itself, out of the WAL.
  editFile(file, (database) => database.pragma('wal_checkpoint(TRUNCATE)'));
  return fs.readFileSync(file);
}

function withSql(sql: string): (file: string) => void {
  return (file) => editFile(file, (database: Database.Database) => database.exec(sql));
}

describe('Restore of an invalid copy', () => {
  it('refuses each with its reason, and changes nothing', async (t) => {
    const { core, bytes } = await coreWithCopy(t);
    const tagIn = (file: string): string => [...recordsIn(file, 'credential').keys()][0] ?? '';
    const hostile: readonly (readonly [what: string, copy: Uint8Array, reason: string])[] = [
      ['nothing', new Uint8Array(0), 'foreign'],
      ['a text', Buffer.from('age-encryption.org/v1\n'), 'foreign'],
      ['zeros', Buffer.alloc(8192), 'foreign'],
      ['a cut-off file', bytes.subarray(0, 4096), 'damaged'],
      ['a file without its last byte', bytes.subarray(0, -1), 'damaged'],
      ['a cut-off header', bytes.subarray(0, 60), 'foreign'],
      ['another program’s database', edited(t, bytes, withSql('PRAGMA application_id = 1')), 'foreign'],
      ['a newer version', edited(t, bytes, withSql('PRAGMA user_version = 99')), 'newer'],
      ['an older version', edited(t, bytes, withSql('PRAGMA user_version = 0')), 'damaged'],
      ['a view', edited(t, bytes, withSql('CREATE VIEW v AS SELECT * FROM record')), 'damaged'],
      ['another table', edited(t, bytes, withSql('CREATE TABLE t (a)')), 'damaged'],
      [
        'a trigger',
        edited(t, bytes, withSql('CREATE TRIGGER x AFTER DELETE ON record BEGIN DELETE FROM record; END')),
        'damaged',
      ],
      ['no id', edited(t, bytes, withSql('DELETE FROM record WHERE kind = 0')), 'damaged'],
      ['no records', edited(t, bytes, withSql('DELETE FROM record')), 'damaged'],
      ['no head', edited(t, bytes, withSql('DELETE FROM record WHERE kind = 1')), 'damaged'],
      ['no data key', edited(t, bytes, withSql('DELETE FROM record WHERE kind = 3')), 'damaged'],
      [
        'a huge record',
        edited(t, bytes, withSql("INSERT INTO record VALUES (6, x'00', zeroblob(9000000))")),
        'damaged',
      ],
      ['a record of nobody', edited(t, bytes, withSql("INSERT INTO record VALUES (6, x'00', x'00')")), 'damaged'],
      ['a changed credential', edited(t, bytes, (file) => flipBit(file, 'credential', tagIn(file))), 'damaged'],
      ['a deleted credential', edited(t, bytes, (file) => deleteRecord(file, 'credential', tagIn(file))), 'damaged'],
    ];
    const before = recordsIn(core.storePath, 'head');
    for (const [what, copy, reason] of hostile) {
      const call = await upload(core, copy);
      assert.deepEqual(await core.refusal(ROOT, 'Restore', call), ['BadCopy', { reason }], what);
      assert.deepEqual(recordsIn(core.storePath, 'head'), before, what);
      core.dropUpload();
    }
    assert.equal(await core.value(ROOT, 'token'), 'new');
    assert.equal(fs.existsSync(path.join(core.directory, 'credentials.db.before-restore')), false);
    assert.deepEqual(fs.readdirSync(path.join(core.directory, 'copies')), []);
    await assertWhole(core);
  });

  it('does not blame the copy if the system refuses to open it', async (t) => {
    const { core, bytes } = await coreWithCopy(t);
    const call = await upload(core, bytes);
    const cause = new Database.SqliteError('unable to open database file', 'SQLITE_CANTOPEN');
    const opened = t.mock.method(SqliteStore, 'open', () => {
      throw new StoreError('io', 'the storage failed (SQLITE_CANTOPEN)', { cause });
    });
    assert.deepEqual(await core.refusal(ROOT, 'Restore', call), ['StorageFailed', { reason: 'io' }]);
    opened.mock.restore();
    assert.ok((await core.ask(ROOT, 'Restore', call)).kept, 'the copy is there still');
  });

  it('refuses an upload that did not arrive as sent, or that was dropped', async (t) => {
    const { core, bytes } = await coreWithCopy(t);
    const call = await upload(core, bytes);
    assert.deepEqual(await core.refusal(ROOT, 'UploadCopy', { upload: call.upload, piece: 'e' }), [
      'InvalidValue',
      { name: 'piece', reason: 'it is not base64' },
    ]);
    const long = Buffer.alloc(1024 * 1024 + 3).toString('base64');
    assert.equal((await core.refusal(ROOT, 'UploadCopy', { upload: call.upload, piece: long }))[0], 'TooLarge');
    const other = { ...call, sha256: sha256Of(Buffer.from('other')) };
    assert.deepEqual(await core.refusal(ROOT, 'Restore', other), ['BadCopy', { reason: 'not_whole' }]);
    for (const gone of [call, { ...call, upload: '' }, { ...call, upload: '../../credentials.db' }]) {
      assert.deepEqual(await core.refusal(ROOT, 'Restore', gone), ['BadCopy', { reason: 'gone' }]);
      const piece = { upload: gone.upload, piece: '' };
      assert.deepEqual(await core.refusal(ROOT, 'UploadCopy', piece), ['BadCopy', { reason: 'gone' }]);
    }
  });

  it(
    'is StorageFull before a piece of a copy, or a restore, uses the space for other writes',
    {
      skip: skipUnless(mounting),
    },
    async (t) => {
      const disk = smallDisk(t, 16_384);
      const core = await startCore(t, { directory: path.join(disk, 'state') });
      await core.create(ROOT, { name: 'large', data: Buffer.alloc(900_000, 7).toString('base64') });
      const { bytes } = await takeCopy(core);
      core.store.purge();
      const reserved = 0.05 * 16_384 * 1024;
      // The piece would fit, and so would a later write, but not both.
      leaveRoom(disk, reserved + 10_000);
      const piece = Buffer.alloc(100_000).toString('base64');
      assert.deepEqual(await core.refusal(ROOT, 'UploadCopy', { piece }), ['StorageFull', {}]);
      assert.deepEqual(fs.readdirSync(path.join(core.directory, 'copies')), []);
      await core.create(ROOT, { name: 'small', data: Buffer.alloc(100_000, 7).toString('base64') });
      leaveRoom(disk, 4_000_000);
      const call = await upload(core, bytes);
      leaveRoom(disk, reserved + 2 * bytes.length - 100_000);
      assert.deepEqual(await core.refusal(ROOT, 'Restore', call), ['StorageFull', {}]);
      assert.equal(
        fs.existsSync(path.join(core.directory, 'credentials.db.before-restore')),
        false,
        'nothing was begun',
      );
      assert.equal((await core.value(ROOT, 'small'))?.length, 100_000);
      leaveRoom(disk, reserved + 2 * bytes.length + 300_000);
      await core.ask(ROOT, 'Restore', call);
      await assertWhole(core);
    },
  );

  it('is StorageFull if there is no room, and changes nothing', { skip: skipUnless(mounting) }, async (t) => {
    const disk = smallDisk(t, 8192);
    const core = await startCore(t, { directory: path.join(disk, 'state') });
    await core.create(ROOT, { name: 'large', data: Buffer.alloc(900_000, 7).toString('base64') });
    const { bytes } = await takeCopy(core);
    await core.create(ROOT, { name: 'later', value: 'kept' });
    core.store.purge();
    let isRestored = false;
    // With a little more room each time: for the copy, for the kept contents, for the WAL.
    for (let free = 300_000; !isRestored && free < 8_000_000; free += 700_000) {
      leaveRoom(disk, free);
      const reply = await restore(core, bytes).catch((error: unknown) => error);
      isRestored = !(reply instanceof Error);
      if (isRestored) break;
      assert.match(String(reply), /StorageFull/);
      core.dropUpload();
      fs.rmSync(path.join(disk, 'filler'));
      assert.equal(await core.value(ROOT, 'later'), 'kept');
      await assertWhole(core);
    }
    assert.ok(isRestored);
    fs.rmSync(path.join(disk, 'filler'));
    assert.deepEqual(await core.refusal(ROOT, 'Get', { name: 'later' }), ['NotFound', { name: 'later' }]);
    await assertWhole(core);
  });
});
