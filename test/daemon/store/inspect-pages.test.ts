import assert from 'node:assert/strict';
import { ChildProcess } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { NotInspectedError, endInspections, inspectPages } from '../../../daemon/store/inspect-pages.ts';
import { migrate } from '../../../daemon/store/migrations.ts';
import { SqliteStore } from '../../../daemon/store/sqlite-store.ts';
import { countTurns } from '../../support/event-loop.ts';
import type { Scope } from '../../support/scope.ts';
import { memoryDirectory } from '../vault/memory-directory.ts';
import { inspectWith } from './page-inspectors.ts';
import { editFile } from '../vault/raw-file.ts';

const BODY_BYTES_MAX = 10_000;
/** Smaller files are inspected without another process. */
const INSPECTED_IN_PROCESS_BYTES_MAX: number = 16 * 1024 ** 2;

/** Makes a file with a hundred records. */
function newFile(scope: Scope): string {
  const file = path.join(memoryDirectory(scope), 'copy.db');
  editFile(file, (database) => {
    migrate(database);
    const insert = database.prepare('INSERT INTO record VALUES (6, ?, ?)');
    for (let index = 0; index < 100; index += 1) insert.run(Buffer.of(index), Buffer.alloc(1000, index));
  });
  return file;
}

describe('inspectPages()', () => {
  it('finds nothing in an intact file, and does not block this process', async (t) => {
    const file = newFile(t);
    const turns = countTurns(t);
    assert.deepEqual(await inspectPages(file, BODY_BYTES_MAX), []);
    assert.ok(turns.count > 0);
    assert.deepEqual(fs.readdirSync(path.dirname(file)), [path.basename(file)], 'it leaves nothing beside it');
  });

  it('reports damaged pages, foreign schema objects, and bodies that are too large', async (t) => {
    const damaged = newFile(t);
    const bytes = fs.readFileSync(damaged);
    fs.writeFileSync(damaged, bytes.fill(0xff, 3 * 4096, 4 * 4096));
    assert.notDeepEqual(await inspectPages(damaged, BODY_BYTES_MAX), []);
    const cut = newFile(t);
    fs.truncateSync(cut, fs.statSync(cut).size - 1);
    assert.match((await inspectPages(cut, BODY_BYTES_MAX)).join(), /cut/);
    const foreign = newFile(t);
    editFile(foreign, (database) => database.exec('CREATE TABLE other (a)'));
    assert.match((await inspectPages(foreign, BODY_BYTES_MAX)).join(), /did not make/);
    const large = newFile(t);
    editFile(large, (database) => database.exec("INSERT INTO record VALUES (6, x'ff', zeroblob(10001))"));
    assert.match((await inspectPages(large, BODY_BYTES_MAX)).join(), /larger/);
    assert.deepEqual(await inspectPages(large, Number.POSITIVE_INFINITY), []);
    assert.match((await inspectPages(path.join(path.dirname(large), 'none'), BODY_BYTES_MAX)).join(), /./);
  });

  it('throws NotInspectedError if the inspecting process cannot be started', async (t) => {
    const file = newFile(t);
    const node = process.execPath;
    process.execPath = path.join(path.dirname(file), 'none');
    t.after(() => void (process.execPath = node));
    await assert.rejects(inspectPages(file, BODY_BYTES_MAX), NotInspectedError);
    const store = SqliteStore.open(file);
    t.after(() => store.close());
    t.mock.method(store, 'copyBytes', () => 2 * INSPECTED_IN_PROCESS_BYTES_MAX);
    await assert.rejects(store.findPageDamage(), NotInspectedError);
  });

  it('throws NotInspectedError if the process ends before it begins, or is not a program', async (t) => {
    const file = newFile(t);
    const node = process.execPath;
    t.after(() => void (process.execPath = node));
    const program = path.join(path.dirname(file), 'program');
    fs.writeFileSync(program, '#!/bin/sh\nkill -ABRT $$\n', { mode: 0o755 });
    const loop = path.join(path.dirname(file), 'loop');
    fs.symlinkSync(loop, loop);
    for (process.execPath of [program, loop]) {
      await assert.rejects(inspectPages(file, BODY_BYTES_MAX), NotInspectedError, process.execPath);
    }
  });

  it('throws NotInspectedError if the process takes too long, and says that the file may be the reason', async (t) => {
    const tooLong = { name: NotInspectedError.name, mayBeTheFile: true, message: /took too long$/ };
    await assert.rejects(inspectPages(newFile(t), BODY_BYTES_MAX, 1), tooLong);
  });

  it('throws NotInspectedError if the process is killed or fails after it began', async (t) => {
    const file = newFile(t);
    const store = SqliteStore.open(file);
    t.after(() => store.close());
    t.mock.method(store, 'copyBytes', () => 2 * INSPECTED_IN_PROCESS_BYTES_MAX);
    for (const [end, mayBeTheFile, message] of [
      ['kill -KILL $$', true, /was killed \(SIGKILL\)$/],
      ['exit 1', false, /failed$/],
    ] as const) {
      inspectWith(t, end);
      const failure = { name: NotInspectedError.name, mayBeTheFile, message };
      await assert.rejects(inspectPages(file, BODY_BYTES_MAX), failure);
      await assert.rejects(store.findPageDamage(), failure);
    }
  });

  it('kills nothing when the daemon stops if the process could not be started', async (t) => {
    const node = process.execPath;
    process.execPath = path.join(path.dirname(newFile(t)), 'none');
    t.after(() => void (process.execPath = node));
    const killed = t.mock.method(ChildProcess.prototype, 'kill').mock;
    const looked = inspectPages(newFile(t), BODY_BYTES_MAX);
    endInspections();
    await assert.rejects(looked, NotInspectedError);
    assert.equal(killed.callCount(), 0);
  });

  it('ends when the daemon stops, and reports no damage then', async (t) => {
    const looked = inspectPages(newFile(t), BODY_BYTES_MAX);
    endInspections();
    await assert.rejects(
      looked,
      (error) => error instanceof NotInspectedError && /daemon is stopping/.test(error.message),
    );
  });
});
