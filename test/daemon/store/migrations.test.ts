import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import Database from 'better-sqlite3';
import { APPLICATION_ID, FORMAT_VERSION, MIGRATIONS, migrate } from '../../../daemon/store/migrations.ts';

function versionOf(database: Database.Database): unknown {
  return database.pragma('user_version', { simple: true });
}

function tablesOf(database: Database.Database): unknown[] {
  return database.prepare('SELECT name FROM sqlite_schema ORDER BY name').pluck().all();
}

/** Migrations to invented versions. */
const step =
  (name: string) =>
  (database: Database.Database): void =>
    void database.exec(`CREATE TABLE ${name} (a)`);

describe('MIGRATIONS', () => {
  it('lead to the version of the file format', () => {
    assert.equal(FORMAT_VERSION, 2);
    assert.equal(MIGRATIONS.length, FORMAT_VERSION);
    assert.equal(Buffer.from(APPLICATION_ID.toString(16), 'hex').toString(), 'cioc');
  });

  it('make the only table of version 1, with a unique kind and tag, and blobs only', () => {
    const database = new Database(':memory:');
    MIGRATIONS[0]?.(database);
    assert.deepEqual(tablesOf(database), ['record']);
    const insert = database.prepare('INSERT INTO record VALUES (?, ?, ?)');
    insert.run(1, Buffer.of(1), Buffer.of(1));
    assert.throws(() => insert.run(1, Buffer.of(1), Buffer.of(2)), /UNIQUE/);
    assert.throws(() => insert.run(1, 'text', Buffer.of(2)), /cannot store TEXT/);
    assert.throws(() => insert.run(1, Buffer.of(2), null), /NOT NULL/);
    assert.throws(() => insert.run('one', Buffer.of(2), Buffer.of(2)), /cannot store TEXT/);
  });
});

describe('migrate()', () => {
  it('starts at version 0, and counts up', () => {
    const database = new Database(':memory:');
    migrate(database);
    assert.equal(versionOf(database), FORMAT_VERSION);
    assert.equal(database.pragma('application_id', { simple: true }), APPLICATION_ID);
  });

  it('runs each step once', () => {
    const database = new Database(':memory:');
    migrate(database, [step('a')]);
    migrate(database, [step('a')]);
    assert.deepEqual(tablesOf(database), ['a']);
    assert.equal(versionOf(database), 1);
  });

  it('continues from the version of the file', () => {
    const database = new Database(':memory:');
    migrate(database, [step('a')]);
    migrate(database, [step('not_again'), step('b'), step('c')]);
    assert.deepEqual(tablesOf(database), ['a', 'b', 'c']);
    assert.equal(versionOf(database), 3);
  });

  it('leaves the previous version if a step fails, and nothing of that step', () => {
    const database = new Database(':memory:');
    const failing = (half: Database.Database): void => {
      half.exec('CREATE TABLE half (a)');
      throw new Error('in the middle');
    };
    assert.throws(() => migrate(database, [step('a'), failing, step('c')]), /in the middle/);
    assert.deepEqual(tablesOf(database), ['a']);
    assert.equal(versionOf(database), 1);
    migrate(database, [step('a'), step('b')]);
    assert.deepEqual(tablesOf(database), ['a', 'b']);
  });

  it('leaves a newer version unchanged', () => {
    const database = new Database(':memory:');
    database.pragma('user_version = 9');
    migrate(database, [step('a')]);
    assert.deepEqual(tablesOf(database), []);
    assert.equal(versionOf(database), 9);
  });
});
