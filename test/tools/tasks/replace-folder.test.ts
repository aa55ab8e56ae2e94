import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { privateMounts } from '../../daemon/access/personas.ts';
import { command, root, skipUnless } from '../../support/requirements.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { replaceFolder } from '../../../tools/tasks/replace-folder.ts';

const NEEDS = skipUnless(root, command('unshare', 'util-linux'), privateMounts);

describe('replaceFolder()', () => {
  it('leaves the old folder in place until the new one is complete, and removes it then', (t) => {
    const place = temporaryDirectory(t);
    const [folder, temporaryParent] = [path.join(place, 'dist'), path.join(place, 'build')];
    const make = (name: string) => (next: string) => {
      fs.mkdirSync(next);
      fs.writeFileSync(path.join(next, name), name);
    };
    replaceFolder(folder, temporaryParent, make('first'));
    replaceFolder(folder, temporaryParent, (next) => {
      make('second')(next);
      assert.deepEqual(fs.readdirSync(folder), ['first']);
    });
    assert.deepEqual(fs.readdirSync(folder), ['second']);
    assert.deepEqual(fs.readdirSync(temporaryParent), []);
  });

  it('keeps the old folder if making the new one fails', (t) => {
    const place = temporaryDirectory(t);
    const [folder, temporaryParent] = [path.join(place, 'dist'), path.join(place, 'build')];
    fs.mkdirSync(path.join(folder, 'old'), { recursive: true });
    const fail = (next: string): never => {
      fs.mkdirSync(next);
      throw new Error('no compiler');
    };
    assert.throws(() => replaceFolder(folder, temporaryParent, fail), /no compiler/);
    assert.deepEqual([fs.readdirSync(folder), fs.readdirSync(temporaryParent)], [['old'], []]);
  });

  it("replaces a folder that is on the lower layer of an overlay, as in a container's image", { skip: NEEDS }, (t) => {
    const place = temporaryDirectory(t);
    const module = path.join(import.meta.dirname, '..', '..', '..', 'tools', 'tasks', 'replace-folder.ts');
    const script = `
      set -eu
      mount -t tmpfs tmpfs "$1"
      cd "$1"
      mkdir -p lower/dist upper work merged
      touch lower/dist/old
      mount -t overlay overlay -o lowerdir=lower,upperdir=upper,workdir=work merged
      "$2" --input-type=module --eval "
        import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
        import { replaceFolder } from '$3';
        replaceFolder('merged/dist', 'merged/build', (next) => { fs.mkdirSync(next); fs.writeFileSync(next + '/new', ''); });
      "
      ls merged/dist merged/build`;
    const [program, ...options] = ['unshare', '--mount', '--propagation=private', 'sh', '-c', script, 'sh'] as const;
    const { status, stdout, stderr } = spawnSync(program, [...options, place, process.execPath, module], {
      encoding: 'utf8',
    });
    assert.equal(status, 0, stderr);
    assert.equal(stdout, 'merged/build:\n\nmerged/dist:\nnew\n');
  });
});
