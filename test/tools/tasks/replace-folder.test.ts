import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { replaceFolder } from '../../../tools/tasks/replace-folder.ts';

describe('replaceFolder()', () => {
  it('leaves the old folder to whoever uses it until the new one is whole, and nothing of it then', (t) => {
    const root = temporaryDirectory(t);
    const [folder, workshop] = [path.join(root, 'dist'), path.join(root, 'build')];
    const make = (name: string) => (next: string) => {
      fs.mkdirSync(next);
      fs.writeFileSync(path.join(next, name), name);
    };
    replaceFolder(folder, workshop, make('first'));
    replaceFolder(folder, workshop, (next) => {
      make('second')(next);
      assert.deepEqual(fs.readdirSync(folder), ['first']);
    });
    assert.deepEqual(fs.readdirSync(folder), ['second']);
    assert.deepEqual(fs.readdirSync(workshop), []);
  });

  it('keeps the old folder where no new one comes of it', (t) => {
    const root = temporaryDirectory(t);
    const [folder, workshop] = [path.join(root, 'dist'), path.join(root, 'build')];
    fs.mkdirSync(path.join(folder, 'old'), { recursive: true });
    const fail = (next: string): never => {
      fs.mkdirSync(next);
      throw new Error('no compiler');
    };
    assert.throws(() => replaceFolder(folder, workshop, fail), /no compiler/);
    assert.deepEqual([fs.readdirSync(folder), fs.readdirSync(workshop)], [['old'], []]);
  });
});
