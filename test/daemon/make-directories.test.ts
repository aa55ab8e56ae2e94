import assert from 'node:assert/strict';
import { mkdirSync, rmdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { makeDirectories } from '../../daemon/make-directories.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const code = (expected: string) => (error: NodeJS.ErrnoException) => error.code === expected;

describe('makeDirectories()', () => {
  it('makes missing directories with one mode, and returns the topmost of them', (t) => {
    const directory = temporaryDirectory(t);
    const [first, second, third] = [join(directory, 'a'), join(directory, 'a', 'b'), join(directory, 'a', 'b', 'c')];
    assert.equal(makeDirectories(third, 0o700), first);
    for (const path of [first, second, third]) assert.equal(statSync(path).mode & 0o7777, 0o700);
    rmdirSync(third);
    assert.equal(makeDirectories(`${third}/`, 0o700), `${third}/`);
  });

  it('does not change an existing directory, even behind a link', (t) => {
    const directory = temporaryDirectory(t);
    const [target, link] = [join(directory, 'target'), join(directory, 'link')];
    mkdirSync(target, { mode: 0o711 });
    symlinkSync('target', link);
    for (const path of ['/', directory, target, link]) assert.equal(makeDirectories(path, 0o700), undefined);
    assert.equal(statSync(target).mode & 0o7777, 0o711);
    assert.equal(makeDirectories(join(link, 'new'), 0o700), join(link, 'new'));
  });

  it('throws if mkdir(2) reports ENOENT for an existing parent', () => {
    for (const path of ['/proc/new', '/proc/new/below/it', '/proc/self/fd/new']) {
      assert.throws(() => makeDirectories(path, 0o700), code('ENOENT'));
    }
  });

  it('throws with the code of what is in the way', (t) => {
    const directory = temporaryDirectory(t);
    const [file, link] = [join(directory, 'file'), join(directory, 'dangling')];
    writeFileSync(file, '');
    symlinkSync('none', link);
    assert.throws(() => makeDirectories(file, 0o700), code('EEXIST'));
    assert.throws(() => makeDirectories(join(file, 'a', 'b'), 0o700), code('ENOTDIR'));
    for (const path of [link, join(link, 'a', 'b')]) assert.throws(() => makeDirectories(path, 0o700), code('EEXIST'));
    assert.throws(() => makeDirectories(join(directory, 'x'.repeat(300)), 0o700), code('ENAMETOOLONG'));
  });
});
