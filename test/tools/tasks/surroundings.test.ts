import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { describe, it } from 'node:test';
import { plainEnvironment, runSuccessfully } from '../../support/process.ts';
import { root, skipUnless } from '../../support/requirements.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const MODULE = path.join(import.meta.dirname, '..', '..', '..', 'tools', 'tasks', 'surroundings.ts');
const SCRIPT = `
  const { settleSurroundings } = await import(process.argv[1]);
  process.umask(0o077);
  console.log(JSON.stringify([settleSurroundings() ?? '', process.env.TMPDIR, process.umask()]));
`;

/** What is said of a temporary folder, what is made of it, and the umask afterwards. */
async function settle(folder: string, cwd = '/'): Promise<[string, string, number]> {
  const env = { ...plainEnvironment(), TMPDIR: folder };
  const node = [process.execPath, '--input-type=module', '-e', SCRIPT, MODULE];
  return JSON.parse(await runSuccessfully(node, { env, cwd })) as [string, string, number];
}

describe('settleSurroundings()', () => {
  it('makes files readable for all, and a relative folder the same from everywhere', async () => {
    // One in it may be too long.
    const folder = path.resolve(os.tmpdir());
    assert.deepEqual(await settle(path.basename(folder), path.dirname(folder)), ['', folder, 0o022]);
  });

  it('says of a folder that it is not there, or leaves no room for the path of a socket', async (t) => {
    const folder = temporaryDirectory(t);
    assert.match(
      (await settle(path.join(folder, 'none')))[0],
      /^TMPDIR: .* cannot be written to \(ENOENT\): name another/,
    );
    const long = path.join(folder, 'x'.repeat(40));
    fs.mkdirSync(long);
    assert.match((await settle(long))[0], /^TMPDIR: .* bytes long, 40 leave room for sockets/);
    assert.deepEqual(fs.readdirSync(long), [], 'nothing is left of the attempt');
  });

  it('says to root that others cannot get there', { skip: skipUnless(root) }, async (t) => {
    const folder = path.join(temporaryDirectory(t), 'x');
    fs.mkdirSync(folder, { mode: 0o700 });
    assert.match((await settle(folder))[0], /^TMPDIR: .* is closed to other users: name another/);
  });
});
