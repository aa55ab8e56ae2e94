import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { UserDatabase } from '../../../daemon/kernel/user-database.ts';
import { runSuccessfully } from '../../support/process.ts';
import { command, root, skipUnless } from '../../support/requirements.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { privateMounts } from '../access/personas.ts';

const MODULE = new URL('../../../daemon/kernel/user-database.ts', import.meta.url).href;
const NEEDS = skipUnless(root, command('unshare', 'util-linux'), privateMounts);

/** Runs `script` with a database of the test's own files, mounted over the real ones for one process. */
async function ask(
  t: TestContext,
  passwd: string | undefined,
  group: string | undefined,
  script: string,
): Promise<unknown> {
  const directory = temporaryDirectory(t);
  fs.writeFileSync(path.join(directory, 'passwd'), passwd ?? '');
  fs.writeFileSync(path.join(directory, 'group'), group ?? '');
  const mount =
    'ulimit -n 256 && mount --bind "$1/passwd" /etc/passwd && mount --bind "$1/group" /etc/group && shift && exec "$@"';
  const body = `
    const { UserDatabase } = await import(process.argv[1]);
    const { writeFileSync } = await import('node:fs');
    const users = new UserDatabase();
    const answers = [];
    ${script}
    console.log(JSON.stringify(answers));
  `;
  const node = [process.execPath, '--input-type=module', '-e', body, MODULE];
  const output = await runSuccessfully(['unshare', '--mount', 'sh', '-c', mount, 'sh', directory, ...node]);
  return JSON.parse(output);
}

const PASSWD = `root:x:0:0:root:/root:/bin/sh
# a comment
alice:x:1000:1000:Alice,,,:/home/alice:/bin/sh
alias:x:1000:1001::/home/alice:/bin/sh
bob:x:1001:27:Bob:/home/bob:/bin/sh

nobody:x:65534:65534::/:/bin/false
`;
const GROUP = `root:x:0:
cio:x:27:alice,carol
cio2:x:28:bob
empty:x:29:
twice:x:30:bob
again:x:30:alice
`;

describe('UserDatabase', () => {
  it('returns the gids of groups', { skip: NEEDS }, async (t) => {
    const names = ['root', 'cio', 'cio2', 'empty', 'none', '', 'ci', 'cio ', 'CIO'];
    const script = `for (const name of ${JSON.stringify(names)}) answers.push(users.gidOf(name) ?? 'none');`;
    assert.deepEqual(await ask(t, PASSWD, GROUP, script), [0, 27, 28, 29, 'none', 'none', 'none', 'none', 'none']);
  });

  it('uses the first of two groups with the same name, as other programs do', { skip: NEEDS }, async (t) => {
    const group = `${GROUP}cio:x:99:bob\n`;
    assert.deepEqual(await ask(t, PASSWD, group, "answers.push(users.gidOf('cio'));"), [27]);
  });

  it(
    "finds members by the group's list, by all their names, and by their primary group",
    { skip: NEEDS },
    async (t) => {
      const pairs = [
        [1000, 27],
        [1000, 1000],
        [1000, 1001],
        [1000, 30],
        [1001, 27],
        [1001, 28],
        [1001, 30],
        [1001, 29],
        [1000, 28],
        [0, 0],
        [0, 27],
        [4242, 27],
        [65_534, 27],
      ];
      const script = `for (const [uid, gid] of ${JSON.stringify(pairs)}) answers.push(users.isMember(uid, gid));`;
      assert.deepEqual(await ask(t, PASSWD, GROUP, script), [
        true,
        true,
        true,
        true,
        true,
        true,
        true,
        false,
        false,
        true,
        false,
        false,
        false,
      ]);
    },
  );

  it('ignores a listed name that is not in the user database', { skip: NEEDS }, async (t) => {
    assert.deepEqual(await ask(t, 'root:x:0:0::/:/bin/sh\n', GROUP, 'answers.push(users.isMember(1000, 27));'), [
      false,
    ]);
  });

  it('skips invalid lines, and does not read a missing number as that of root', { skip: NEEDS }, async (t) => {
    const passwd = '+::::::\nevil:x::27::/:\nhalf:x:5\n:\n::::\nmallory:x:abc:27::/:\nneg:x:-1:27::/:\n';
    const group = '+:::\ncio:x::evil\ncio:x:abc:evil\nhalf\n:::\n';
    const script = `
      answers.push(users.gidOf('cio') ?? 'none', users.gidOf('+') ?? 'none', users.gidOf('') ?? 'none');
      answers.push(users.isMember(0, 27), users.isMember(0, 0), users.isMember(NaN, 27), users.isMember(-1, 27));
    `;
    assert.deepEqual(await ask(t, passwd, group, script), ['none', 'none', 'none', false, false, false, false]);
  });

  it('sees changes at once', { skip: NEEDS }, async (t) => {
    const script = `
      answers.push(users.isMember(1001, 27));
      writeFileSync('/etc/group', 'cio:x:99:bob\\n');
      answers.push(users.gidOf('cio'), users.isMember(1001, 99), users.isMember(1000, 27));
      writeFileSync('/etc/passwd', '');
      answers.push(users.isMember(1001, 99));
    `;
    assert.deepEqual(await ask(t, PASSWD, GROUP, script), [true, 99, true, false, false]);
  });

  it(
    'throws while it cannot read the files, rather than treat members as strangers, and recovers',
    { skip: NEEDS },
    async (t) => {
      const script = `
      const { closeSync, openSync } = await import('node:fs');
      const held = [];
      const hold = () => { for (;;) held.push(openSync('/dev/null')); };
      const codeOf = (work) => { try { return work(); } catch (error) { return error.code; } };
      answers.push(codeOf(hold), codeOf(() => users.gidOf('cio')), codeOf(() => users.isMember(1000, 27)));
      held.forEach(closeSync);
      answers.push(users.gidOf('cio'), users.isMember(1000, 27));
    `;
      assert.deepEqual(await ask(t, PASSWD, GROUP, script), ['EMFILE', 'EMFILE', 'EMFILE', 27, true]);
    },
  );

  it('finds nobody if there are no files', { skip: NEEDS }, async (t) => {
    assert.deepEqual(
      await ask(t, undefined, undefined, "answers.push(users.gidOf('cio') ?? 'none', users.isMember(0, 0));"),
      ['none', false],
    );
  });

  it("reads this host's own files", () => {
    const users = new UserDatabase();
    assert.equal(users.gidOf('root'), 0);
    assert.equal(users.isMember(0, 0), true);
    assert.equal(users.isMember(2 ** 31, 0), false);
  });
});
