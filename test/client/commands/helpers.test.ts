import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, describe, it } from 'node:test';
import { EXIT } from '../../../src/errors.ts';
import type { CioResult } from '../../support/cio.ts';
import { run as runProcess } from '../../support/process.ts';
import { command, skipUnless } from '../../support/requirements.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { quoted } from '../terminal.ts';
import { Harness } from './harness.ts';

const harness = await Harness.start({ after });

const HUB = 'https://index.docker.io/v1/';

describe('docker-credential-cio', () => {
  const docker = (verb: string, stdin = ''): Promise<CioResult> =>
    harness.run(['__docker-credential', '--', verb], { stdin });
  const store = async (ServerURL: string, Username: string, Secret: string): Promise<void> => {
    const { code, stdout, stderr } = await docker('store', JSON.stringify({ ServerURL, Username, Secret }));
    assert.deepEqual([code, stdout, stderr], [EXIT.done, '', '']);
  };
  /** Asserts that the helper fails, with the message on standard output, where docker reads it. */
  const refused = async (verb: string, stdin: string, text: string): Promise<void> => {
    const { code, stdout, stderr } = await docker(verb, stdin);
    assert.deepEqual([code, stdout, stderr], [EXIT.failed, `${text}\n`, '']);
  };

  it('returns what was stored, replaces it, lists it and erases it', async () => {
    await store(HUB, 'ann', 'first');
    await store(HUB, 'ann', 'pass"word\nü');
    await store('registry.example.org', '<token>', 'identity token');
    const { stdout } = await docker('get', `${HUB}\n`);
    assert.deepEqual(JSON.parse(stdout), { ServerURL: HUB, Username: 'ann', Secret: 'pass"word\nü' });
    const listed = await docker('list');
    assert.deepEqual(JSON.parse(listed.stdout), { [HUB]: 'ann', 'registry.example.org': '<token>' });
    assert.ok(!listed.stdout.includes('identity token'));
    assert.deepEqual([(await docker('erase', HUB)).code, (await docker('erase', 'registry.example.org')).code], [0, 0]);
    assert.equal((await docker('list')).stdout, '{}\n');
  });

  it("uses docker's exact words for missing credentials and fields", async () => {
    await refused('get', 'https://nobody.example.org', 'credentials not found in native keychain');
    await refused('erase', 'https://nobody.example.org', 'credentials not found in native keychain');
    await refused('get', ' \n', 'no credentials server URL');
    await refused('erase', '', 'no credentials server URL');
    await refused('store', '{"ServerURL":"","Username":"ann","Secret":"x"}', 'no credentials server URL');
    await refused('store', '{"ServerURL":"https://x","Username":"","Secret":"x"}', 'no credentials username');
  });

  it('prints any other error to standard output too, and repeats nothing of its input', async () => {
    for (const stdin of ['canary', '[]', '{"canary"', 'null', '']) {
      const { code, stdout, stderr } = await docker('store', stdin);
      assert.deepEqual([code, stderr], [EXIT.failed, '']);
      assert.doesNotMatch(stdout, /canary/);
    }
    assert.match((await docker('nonsense')).stdout, /unknown action/);
    const latin1 = Buffer.from('{"ServerURL":"https://l.example.org","Username":"ann","Secret":"\xe9"}', 'latin1');
    const kept = await harness.run(['__docker-credential', '--', 'store'], { stdin: latin1 });
    assert.deepEqual([kept.code, kept.stdout], [EXIT.failed, 'standard input is not UTF-8 text\n']);
    const away = await harness.run(['__docker-credential', '--', 'list'], { socketPath: '/nonexistent/\u001b[31m' });
    assert.deepEqual([away.code, away.stderr], [EXIT.failed, '']);
    assert.match(away.stdout, /^no daemon: there is no socket \/nonexistent\/\\u\{1b\}\[31m\n$/);
  });

  it('distinguishes addresses that look alike in a name', async () => {
    const addresses = [
      'a.example.org',
      'https://a.example.org',
      'http://a.example.org',
      'A.example.org',
      'a.example.org/',
      '__proto__',
    ];
    for (const address of addresses) await store(address, `user of ${address}`, 'x');
    const { stdout } = await docker('list');
    const users = addresses.map((one) => [one, `user of ${one}`] as const);
    assert.deepEqual(new Map(Object.entries(JSON.parse(stdout) as object)), new Map(users));
    for (const address of addresses) await docker('erase', address);
  });

  it('leaves foreign credentials under such a name out of its list', async () => {
    await harness.store('no JSON', 'docker.foreign');
    assert.equal((await docker('list')).stdout, '{}\n');
  });

  it('prints its version, and its launcher is valid shell', async () => {
    const launcher = path.join(import.meta.dirname, '../../../bin/docker-credential-cio');
    assert.match((await docker('version')).stdout, /^docker-credential-cio \(cio-credentiald\) \d+\.\d+\.\d+\n$/);
    const { stdout } = await runProcess(['/bin/sh', '-n', launcher]);
    assert.equal(stdout.toString(), '');
  });
});

describe('git-credential-cio', { skip: skipUnless(command('git')) }, () => {
  /** Returns a function that runs real git with the built helper in its PATH. */
  async function startGit(
    scope: Parameters<typeof temporaryDirectory>[0],
  ): Promise<(verb: string, stdin: string) => Promise<string>> {
    const directory = temporaryDirectory(scope);
    const script = `#!/bin/sh\nexec ${harness.built.map(quoted).join(' ')} credential __git-credential -- "$@"\n`;
    fs.writeFileSync(path.join(directory, 'git-credential-cio'), script, { mode: 0o755 });
    const env = {
      ...harness.environment,
      PATH: `${directory}:/usr/bin:/bin`,
      HOME: directory,
      GIT_CONFIG_NOSYSTEM: '1',
      GIT_TERMINAL_PROMPT: '0',
    };
    await runProcess(['git', 'config', '--global', 'credential.helper', 'cio'], { env });
    return async (verb, stdin) => {
      const { stdout, stderr } = await runProcess(['git', 'credential', verb], { env, input: stdin, cwd: directory });
      return stdout.toString() + stderr;
    };
  }

  const of = (host: string, ...more: readonly string[]): string =>
    ['protocol=https', `host=${host}`, ...more, '', ''].join('\n');

  it('fills in approved credentials, and forgets rejected ones', async (t) => {
    const git = await startGit(t);
    const ann = of('git.example.org', 'username=ann', 'password=p=w "ü$x', 'unknown=key');
    assert.match(await git('fill', of('git.example.org')), /could not read Username/);
    assert.equal(await git('approve', ann), '');
    assert.match(await git('fill', of('git.example.org')), /^username=ann\npassword=p=w "ü\$x$/m);
    assert.equal(await git('reject', ann), '');
    assert.match(await git('fill', of('git.example.org')), /could not read Username/);
    const { credentials } = (await harness.json(['list', 'git.*'])) as { readonly credentials: readonly unknown[] };
    assert.deepEqual(credentials, []);
  });

  it('distinguishes several users of a host, and other hosts, ports and protocols', async (t) => {
    const git = await startGit(t);
    await git('approve', of('two.example.org', 'username=ann', 'password=a'));
    await git('approve', of('two.example.org', 'username=bob', 'password=b'));
    await git('approve', of('two.example.org:8443', 'username=eve', 'password=e'));
    assert.match(await git('fill', of('two.example.org', 'username=ann')), /^password=a$/m);
    assert.match(await git('fill', of('two.example.org')), /^username=bob\npassword=b$/m);
    assert.match(await git('fill', of('two.example.org:8443')), /^password=e$/m);
    assert.match(await git('fill', 'protocol=http\nhost=two.example.org\n\n'), /could not read Username/);
    await git('approve', of('two.example.org', 'username=ann', 'password=new'));
    await git('reject', of('two.example.org', 'username=bob', 'password=b'));
    assert.match(await git('fill', of('two.example.org')), /^username=ann\npassword=new$/m);
  });

  it('does not erase a newer password than the rejected one', async () => {
    const helper = (verb: string, stdin: string): Promise<CioResult> =>
      harness.run(['__git-credential', '--', verb], { stdin });
    await helper('store', of('new.example.org', 'username=ann', 'password=new'));
    await helper('erase', of('new.example.org', 'username=ann', 'password=old'));
    assert.match((await helper('get', of('new.example.org'))).stdout, /^password=new$/m);
  });

  it('hands out nothing from a credential that it did not store', async () => {
    const helper = (verb: string, stdin: string): Promise<CioResult> =>
      harness.run(['__git-credential', '--', verb], { stdin });
    await helper('store', of('foreign.example.org', 'username=ann', 'password=x'));
    const { credentials } = (await harness.json(['list', 'git.foreign*'])) as { credentials: { name: string }[] };
    const [name = ''] = credentials.map((credential) => credential.name);
    for (const accounts of [null, [null], [5], [{ password: {} }], [{ username: 'ann\nhost=other', password: 'p' }]]) {
      await harness.store(JSON.stringify({ accounts }), name);
      const { code, stdout, stderr } = await helper('get', of('foreign.example.org'));
      assert.deepEqual([code, stdout], [EXIT.invalid, '']);
      assert.match(stderr, /git-credential-cio did not store it/);
    }
  });

  it('is silent when it has nothing to say, and for unknown verbs of git', async () => {
    for (const [verb, stdin] of [
      ['get', of('nothing.example.org')],
      ['erase', of('nothing.example.org')],
      ['get', ''],
      ['get', 'no attributes\n\n'],
      ['store', of('half.example.org', 'username=ann')],
      ['some-verb-to-come', of('nothing.example.org')],
    ] as const) {
      const { code, stdout, stderr } = await harness.run(['__git-credential', '--', verb], { stdin });
      assert.deepEqual([code, stdout, stderr], [EXIT.done, '', ''], verb);
    }
    await harness.fail(EXIT.usage, ['__git-credential']);
    await harness.fail(EXIT.notReachable, ['__git-credential', '--', 'get'], {
      stdin: of('x'),
      socketPath: '/nonexistent/socket',
    });
  });
});
