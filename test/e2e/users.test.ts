import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EXIT } from '../../src/errors.ts';
import { cio } from '../support/cio.ts';
import type { CioResult } from '../support/cio.ts';
import { startDaemon } from '../support/daemon.ts';
import type { Identity } from '../support/identity.ts';
import { command, root, skipUnless } from '../support/requirements.ts';
import { RawVarlink } from '../support/varlink.ts';

const ANNA: Identity = { uid: 47_111, gid: 47_111 };
const BERT: Identity = { uid: 47_112, gid: 47_112 };

const skip = skipUnless(root, command('setpriv', 'util-linux'));

test('users of one daemon have separate credentials, by the uid that the kernel reports', { skip }, async (t) => {
  const daemon = await startDaemon(t);
  const run = (args: readonly string[], as?: Identity, stdin = ''): Promise<CioResult> =>
    cio(['credential', ...args], { socketPath: daemon.socketPath, stdin, ...(as === undefined ? {} : { as }) });

  await t.test('each user can have a credential of the same name', async () => {
    for (const [who, value] of [
      [undefined, "root's"],
      [ANNA, "Anna's"],
      [BERT, "Bert's"],
    ] as const) {
      assert.equal((await run(['create', 'cio_aws_secret_key'], who, value)).code, 0);
      assert.equal((await run(['get', 'cio_aws_secret_key'], who)).stdout, value);
    }
  });

  await t.test("a user cannot find another user's credential by any command", async () => {
    assert.equal((await run(['create', 'annas-own', 'value'], ANNA)).code, 0);
    for (const args of [
      ['get', 'annas-own'],
      ['remove', '--yes', 'annas-own'],
      ['history', 'annas-own'],
    ]) {
      const [foreign, absent] = [await run(args, BERT), await run([...args.slice(0, -1), 'berts-own'], BERT)];
      assert.equal(foreign.code, 3, foreign.stderr);
      assert.equal(foreign.stderr.replaceAll('annas-own', 'berts-own'), absent.stderr);
    }
    assert.doesNotMatch((await run(['list', '--json'], BERT)).stdout, /annas-own/);
    assert.equal((await run(['get', 'annas-own'], ANNA)).code, 0);
  });

  await t.test('a grant lets one user read and no other, and ends when it is revoked', async () => {
    const grant = ['annas-own', '--user', String(BERT.uid)];
    const read = ['get', 'annas-own', '--owner', String(ANNA.uid)];
    assert.equal((await run(['grant', ...grant], ANNA)).code, 0);
    const granted = await asked(BERT, 'io.cio.Credentials.Get', { name: 'annas-own', owner: ANNA.uid });
    assert.equal(granted['value'], 'value');
    assert.equal((await run(['revoke', ...grant], ANNA)).code, 0);
    assert.equal((await run(read, BERT)).code, 3);
  });

  await t.test("administrators' commands are refused to other users", async () => {
    for (const args of [['lock'], ['rekey'], ['slot', 'list']]) {
      assert.equal((await run(args, ANNA)).code, 5, args.join(' '));
    }
  });

  async function asked(as: Identity, method: string, parameters: object): Promise<Record<string, unknown>> {
    const connection = await RawVarlink.connect(t, daemon.socketPath, as);
    const { error, parameters: answer = {} } = await connection.call(method, parameters);
    assert.equal(error, undefined);
    return answer;
  }
});

test('commands do not require a home folder, as under DynamicUser=', { skip }, async () => {
  for (const args of [['list'], ['doctor', '--json']]) {
    const { code, stderr } = await cio(['credential', ...args], { as: ANNA, env: { HOME: undefined }, cwd: '/' });
    assert.doesNotMatch(stderr, /internal error/);
    assert.notEqual(code, EXIT.failed, stderr);
  }
});
