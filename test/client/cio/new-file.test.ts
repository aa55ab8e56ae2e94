import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { CommandError } from '../../../client/cio/command-error.ts';
import { NewFile } from '../../../client/cio/new-file.ts';
import { Service } from '../../support/process.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const KEEP = { force: false };
const FORCE = { force: true };

function textOf(file: string): string {
  return fs.readFileSync(file, 'utf8');
}

describe('NewFile', () => {
  it('appears under its name only on commit(), with mode 0600', (t) => {
    const folder = temporaryDirectory(t);
    const target = path.join(folder, 'target');
    {
      using file = NewFile.create(target, KEEP);
      file.write(Buffer.from('one '));
      file.write(Buffer.from('two'));
      assert.deepEqual(fs.existsSync(target), false);
      const [temporary = ''] = fs.readdirSync(folder);
      assert.equal(fs.statSync(path.join(folder, temporary)).mode & 0o777, 0o600);
      file.commit();
    }
    assert.deepEqual(fs.readdirSync(folder), ['target']);
    assert.equal(textOf(target), 'one two');
    assert.equal(fs.statSync(target).mode & 0o777, 0o600);
  });

  it('leaves nothing behind if it is not committed', (t) => {
    const folder = temporaryDirectory(t);
    assert.throws(() => {
      using file = NewFile.create(path.join(folder, 'target'), KEEP);
      file.write(Buffer.from('half'));
      throw new Error('in the middle');
    }, /in the middle/);
    assert.deepEqual(fs.readdirSync(folder), []);
  });

  it('leaves nothing behind if a signal ends the process', async (t) => {
    const folder = temporaryDirectory(t);
    const module = path.join(import.meta.dirname, '../../../client/cio/new-file.ts');
    const program = `
      import { NewFile } from ${JSON.stringify(module)};
      const file = NewFile.create(${JSON.stringify(path.join(folder, 'target'))}, { force: false });
      file.write(Buffer.from('half'));
      setInterval(() => undefined, 1000);
      console.log('ready');`;
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGUSR1', 'SIGALRM'] as const) {
      const service = new Service(t, [process.execPath, '--input-type=module-typescript', '--eval', program]);
      await service.printed('ready');
      assert.equal(fs.readdirSync(folder).length, 1);
      assert.deepEqual(await service.stop(signal), { code: null, signal });
      assert.deepEqual(fs.readdirSync(folder), []);
    }
  });

  it('replaces an existing file only with `force`, even one that appears while the command runs', (t) => {
    const folder = temporaryDirectory(t);
    const target = path.join(folder, 'target');
    {
      using file = NewFile.create(target, KEEP);
      file.write(Buffer.from('mine'));
      fs.writeFileSync(target, 'of somebody else');
      assert.throws(() => file.commit(), CommandError);
    }
    assert.equal(textOf(target), 'of somebody else');
    assert.throws(() => NewFile.create(target, KEEP), /already exists/);
    {
      using file = NewFile.create(target, FORCE);
      file.write(Buffer.from('mine'));
      assert.equal(textOf(target), 'of somebody else');
      file.commit();
    }
    assert.equal(textOf(target), 'mine');
    assert.deepEqual(fs.readdirSync(folder), ['target']);
  });

  it('names the file in its messages', (t) => {
    const folder = temporaryDirectory(t);
    const there = path.join(folder, 'there');
    fs.writeFileSync(there, '');
    assert.throws(() => NewFile.create(there, KEEP), { message: `${there} already exists` });
    for (const options of [KEEP, FORCE]) {
      assert.throws(() => NewFile.create(folder, options), { message: `${folder} is a folder` });
    }
    using meanwhile = NewFile.create(path.join(folder, 'new'), KEEP);
    fs.writeFileSync(path.join(folder, 'new'), '');
    assert.throws(() => meanwhile.commit(), { message: `${folder}/new already exists` });
    using replaced = NewFile.create(path.join(folder, 'old'), FORCE);
    fs.mkdirSync(path.join(folder, 'old'));
    assert.throws(() => replaced.commit(), { message: `${folder}/old is a folder` });
  });

  it('refuses folders, links and devices, and shows only the existing part of a path', (t) => {
    const folder = temporaryDirectory(t);
    fs.symlinkSync('/etc/passwd', path.join(folder, 'link'));
    // An empty path comes from an unset variable.
    for (const place of [folder, path.join(folder, 'link'), '/dev/null', '', path.join(folder, 'new/')]) {
      for (const options of [KEEP, FORCE]) assert.throws(() => NewFile.create(place, options), CommandError);
    }
    assert.throws(
      // A secret in the place of a path.
      () => NewFile.create(path.join(folder, 'wJalrXUtnFEMI', 'K7MDENG', 'bPxRfiCY'), KEEP),
      (error: unknown) => {
        assert.ok(error instanceof CommandError);
        assert.equal(error.message, `cannot make a file in ${folder}/wJalrXUt…: it does not exist (ENOENT)`);
        assert.equal(error.hint, 'make the folder first, or name another place');
        return true;
      },
    );
    assert.deepEqual(fs.readdirSync(folder), ['link']);
  });
});
