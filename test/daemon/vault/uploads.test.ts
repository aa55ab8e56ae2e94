import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { CopyDirectory } from '../../../daemon/store/copy-directory.ts';
import { Uploads } from '../../../daemon/vault/uploads.ts';
import { isCredentialError } from '../../../src/errors.ts';
import { openFilesIn } from '../../support/open-files.ts';
import type { Scope } from '../../support/scope.ts';
import { memoryDirectory } from './memory-directory.ts';

const TEN_MINUTES_MS = 600_000;
const IDLE_MS = 5000;
/** SHA-256 of the empty string. */
const EMPTY = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';

function startUploads(scope: Scope): { uploads: Uploads; files: () => string[] } {
  const state = memoryDirectory(scope);
  const uploads = new Uploads(new CopyDirectory(state));
  scope.after(() => uploads.drop());
  return { uploads, files: () => fs.readdirSync(path.join(state, 'copies')) };
}

function refusalOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    assert.ok(error instanceof Error);
    return error.message;
  }
  return assert.fail('it is taken');
}

describe('Uploads', () => {
  it('appends the pieces in order to a file with mode 0600', (t) => {
    const { uploads } = startUploads(t);
    const { id, path: file } = uploads.take(undefined, Buffer.from('one '));
    assert.equal(uploads.take(id, Buffer.from('two')).size, 7);
    assert.equal(fs.readFileSync(file, 'utf8'), 'one two');
    assert.equal(fs.statSync(file).mode & 0o777, 0o600);
    assert.equal(fs.statSync(path.dirname(file)).mode & 0o777, 0o700);
  });

  it('leaves no file open after an upload is dropped', (t) => {
    const { uploads } = startUploads(t);
    const folder = path.dirname(uploads.take(undefined, Buffer.from('one')).path);
    assert.equal(openFilesIn(folder).length, 1);
    uploads.drop();
    assert.deepEqual(openFilesIn(folder), []);
  });

  it('begins an upload right after another one failed to begin', (t) => {
    const { uploads } = startUploads(t);
    const folder = path.dirname(uploads.take(undefined, Buffer.from('one')).path);
    uploads.drop();
    fs.rmdirSync(folder);
    fs.writeFileSync(folder, '');
    for (let attempt = 0; attempt < 2; attempt += 1) {
      assert.equal(
        refusalOf(() => uploads.take(undefined, Buffer.from('two'))),
        'StorageFailed',
      );
    }
    fs.rmSync(folder);
    assert.equal(uploads.take(undefined, Buffer.from('three')).size, 5);
  });

  it('gives the place of an upload that was idle for five seconds to another one, but not before', (t) => {
    let now = 1_000_000;
    t.mock.method(performance, 'now', () => now);
    const { uploads } = startUploads(t);
    const { id } = uploads.take(undefined, Buffer.from('one'));
    for (const pieces of [1, 2]) {
      now += IDLE_MS - 1;
      assert.equal(
        refusalOf(() => uploads.take(undefined, Buffer.from('two'))),
        'Busy',
      );
      if (pieces === 1) uploads.take(id, Buffer.from('more'));
    }
    now += 1;
    assert.equal(uploads.take(undefined, Buffer.from('two')).size, 3);
  });

  it('drops an upload that was idle for ten minutes, but not while it is in use', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const { uploads, files } = startUploads(t);
    const { id } = uploads.take(undefined, new Uint8Array(0));
    t.mock.timers.tick(TEN_MINUTES_MS - 1);
    uploads.take(id, new Uint8Array(0));
    t.mock.timers.tick(TEN_MINUTES_MS - 1);
    const work = Promise.withResolvers<void>();
    const using = uploads.use(id, EMPTY, () => work.promise);
    t.mock.timers.tick(10 * TEN_MINUTES_MS);
    assert.equal(files().length, 1);
    work.resolve();
    await using;
    t.mock.timers.tick(TEN_MINUTES_MS);
    assert.deepEqual(files(), []);
    assert.equal(
      refusalOf(() => uploads.take(id, new Uint8Array(0))),
      'BadCopy',
    );
  });

  it('checks an upload again after more was added, and has room for the next one after a result', async (t) => {
    const { uploads, files } = startUploads(t);
    const first = uploads.take(undefined, new Uint8Array(0));
    assert.equal(
      refusalOf(() => uploads.take(undefined, new Uint8Array(0))),
      'Busy',
    );
    await uploads.use(first.id, EMPTY, async (upload) => {
      upload.isChecked = true;
      await Promise.resolve();
    });
    assert.equal(uploads.take(first.id, Buffer.from('more')).isChecked, false);
    await assert.rejects(
      uploads.use(first.id, EMPTY, () => Promise.resolve()),
      (error) => isCredentialError(error, 'BadCopy') && error.fields.reason === 'not_whole',
    );
    assert.deepEqual(files(), []);
    const second = uploads.take(undefined, new Uint8Array(0));
    await uploads.use(second.id, EMPTY, () => Promise.resolve());
    const third = uploads.take(undefined, new Uint8Array(0));
    assert.deepEqual(files(), [path.basename(third.path)]);
  });
});

describe('CopyDirectory', () => {
  it("removes a file with SQLite's companion files, and at start everything that was left", (t) => {
    const state = memoryDirectory(t);
    const directory = new CopyDirectory(state);
    directory.clear();
    const [one, two] = [directory.newFile(), directory.newFile()];
    for (const companion of ['-wal', '-shm', '-journal']) fs.writeFileSync(`${one}${companion}`, '');
    directory.remove(one);
    assert.deepEqual(fs.readdirSync(path.dirname(two)), [path.basename(two)]);
    directory.remove(one);
    directory.clear();
    assert.deepEqual(fs.readdirSync(state), []);
  });

  it('leaves a file that cannot be removed to the next start, and removes the rest', (t) => {
    const state = memoryDirectory(t);
    const directory = new CopyDirectory(state);
    const file = directory.newFile();
    // unlink(2) fails on a directory.
    fs.mkdirSync(`${file}-wal`);
    fs.writeFileSync(`${file}-journal`, '');
    directory.remove(file);
    assert.deepEqual(fs.readdirSync(path.dirname(file)), [`${path.basename(file)}-wal`]);
    directory.clear();
    assert.deepEqual(fs.readdirSync(state), []);
  });
});
