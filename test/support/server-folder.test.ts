import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { installServer } from './server-folder.ts';
import { temporaryDirectory } from './temporary-directory.ts';

describe('installServer()', () => {
  it('leaves nothing in the folder of the server until all of it is installed', (t) => {
    const cache = path.join(temporaryDirectory(t), 'cache');
    const folder = path.join(cache, 'server@1');
    const program = path.join(folder, 'program');
    const write = (code: number) => (unfinished: string) => {
      fs.writeFileSync(path.join(unfinished, 'program'), '');
      assert.equal(fs.existsSync(program), false);
      return code;
    };
    assert.equal(installServer(folder, program, write(1)), 1);
    assert.throws(() => installServer(folder, program, () => assert.fail()));
    assert.deepEqual(fs.readdirSync(cache), []);
    // As left by an install that was killed before it had the program.
    fs.mkdirSync(path.join(folder, 'rest'), { recursive: true });
    assert.equal(installServer(folder, program, write(0)), 0);
    assert.deepEqual(fs.readdirSync(folder), ['program']);
    assert.equal(fs.statSync(folder).mode & 0o005, 0o005, 'other users may read it');
    assert.deepEqual(fs.readdirSync(cache), ['server@1']);
    assert.equal(
      installServer(folder, program, () => assert.fail('it is installed already')),
      0,
    );
  });

  it('keeps what another install has finished meanwhile', (t) => {
    const folder = path.join(temporaryDirectory(t), 'server@1');
    const program = path.join(folder, 'program');
    const write = (into: string, text: string): void => {
      fs.mkdirSync(into, { recursive: true });
      fs.writeFileSync(path.join(into, 'program'), text);
    };
    const code = installServer(folder, program, (unfinished) => {
      write(unfinished, 'second');
      write(folder, 'first');
      return 0;
    });
    assert.equal(code, 0);
    assert.equal(fs.readFileSync(program, 'utf8'), 'first');
  });
});
