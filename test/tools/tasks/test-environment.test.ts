import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { describe, it } from 'node:test';
import { plainEnvironment, run } from '../../support/process.ts';
import { root, skipUnless } from '../../support/requirements.ts';
import { privateMounts } from '../../daemon/access/personas.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const MODULE = path.join(import.meta.dirname, '..', '..', '..', 'tools', 'tasks', 'test-environment.ts');
const SCRIPT = `
  const { prepareTestEnvironment } = await import(process.argv[1]);
  process.umask(0o077);
  console.log(JSON.stringify([prepareTestEnvironment() ?? '', process.env.TMPDIR, process.umask()]));
`;

/**
 * Returns the error about the temporary folder or '', the folder that is used, the umask afterwards, and the text on
 * standard error.
 */
async function settle(folder: string, cwd = '/', prefix: string[] = []): Promise<[string, string, number, string]> {
  const env = { ...plainEnvironment(), TMPDIR: folder };
  const node = [process.execPath, '--input-type=module', '-e', SCRIPT, MODULE];
  const { stdout, stderr } = await run([...prefix, ...node], { env, cwd });
  return [...(JSON.parse(stdout.toString()) as [string, string, number]), stderr];
}

describe('prepareTestEnvironment()', () => {
  it('sets a umask that makes files readable for all, and makes a relative folder absolute', async () => {
    // A folder inside it might have too long a path.
    const folder = path.resolve(os.tmpdir());
    assert.deepEqual(await settle(path.basename(folder), path.dirname(folder)), ['', folder, 0o022, '']);
  });

  it('takes another folder if TMPDIR does not exist, has a space, or is too long for the paths of sockets', async (t) => {
    const folder = temporaryDirectory(t);
    const [none, instead, , said] = await settle(path.join(folder, 'none'));
    assert.equal(none, '');
    assert.match(instead, /^(\/var)?\/tmp$/);
    assert.match(said, /^TMPDIR: .* cannot be written to \(ENOENT\): (\/var)?\/tmp is used instead\n$/);
    const spaced = path.join(folder, 'a b');
    fs.mkdirSync(spaced);
    assert.match((await settle(spaced))[3], /a b has characters that a shell would interpret: .*tmp is used/);
    const long = path.join(folder, 'x'.repeat(40));
    fs.mkdirSync(long);
    assert.match((await settle(long))[3], /^TMPDIR: .* bytes long, 40 leave room for sockets/);
    assert.deepEqual(fs.readdirSync(long), [], 'nothing is left of the attempt');
  });

  it('takes another folder, as root, if other users cannot reach TMPDIR', { skip: skipUnless(root) }, async (t) => {
    const folder = path.join(temporaryDirectory(t), 'x');
    fs.mkdirSync(folder, { mode: 0o700 });
    assert.match((await settle(folder))[3], /^TMPDIR: .* is closed to other users: .*tmp is used/);
  });

  it(
    'takes another folder if TMPDIR does not permit running programs',
    { skip: skipUnless(root, privateMounts) },
    async (t) => {
      const folder = temporaryDirectory(t);
      const script = 'mount --bind "$0" "$0" && mount -o remount,bind,noexec "$0" && exec "$@"';
      const said = (await settle(folder, '/', ['unshare', '--mount', 'sh', '-c', script, folder]))[3];
      assert.match(said, /^TMPDIR: \S+ is mounted with noexec: \S+ is used instead\n$/);
    },
  );

  it('returns an error if no folder is usable', { skip: skipUnless(root, privateMounts) }, async () => {
    // The folders are made read-only but not covered by another mount, since the checkout may be in one of them.
    const readOnly = 'mount --bind "$folder" "$folder" && mount -o remount,bind,ro "$folder"';
    const script = `for folder in /tmp /var/tmp; do ${readOnly}; done; exec "$@"`;
    const mounts = ['unshare', '--mount', 'sh', '-c', script, 'sh'];
    assert.match((await settle('/proc/none', '/', mounts))[0], /^TMPDIR: .* cannot be written to .*: name another/);
  });
});
