import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Canaries } from '../support/canary.ts';
import { assertUnseen } from '../support/canary.ts';
import { EXIT } from '../../src/errors.ts';
import { cio, cioSucceeds } from './support/cio.ts';
import type { Machine } from './support/machine.ts';

/** `OPERATOR` is a member of the group `cio`, an administrator. `STRANGER` is a user without any rights. */
export const OPERATOR = 'cio-operator';
export const STRANGER = 'cio-stranger';

/** create, list, get and remove, for two users who may use the shared credentials and for one who may not. */
export function callers(machine: Machine, canaries: Canaries): void {
  const repository = 's3:https://s3.amazonaws.com/backup-123';
  /** All output that the stranger got. */
  const told: string[] = [];

  test('one command makes a user an administrator, who then needs no password', async () => {
    await machine.succeed(['useradd', '--user-group', '--create-home', STRANGER]);
    await machine.succeed(['useradd', '--user-group', '--create-home', OPERATOR]);
    await machine.succeed(['usermod', '--append', '--groups', 'cio', OPERATOR]);
    assert.match(await machine.succeed(['id', OPERATOR]), /\(cio\)/);
  });

  for (const [user, set] of [
    [undefined, 'aws'],
    [OPERATOR, 'aws_alt'],
  ] as const) {
    const as = user === undefined ? {} : { user };
    const who = user ?? 'root';

    test(`create: ${who} stores the four credentials of ${set}`, async () => {
      const create = async (field: string, input: string, ...value: string[]): Promise<void> => {
        const args = ['create', `cio_${set}_${field}`, ...value];
        assert.match(
          (await cio(machine, args, { ...as, input })).stderr,
          /^Succeed: Create credential: Credential \S+ saved$/m,
        );
      };
      await create('backup_repo', '', repository);
      await create('access_key', '', 'AKIAYHD623GGZX7VDFMJ');
      await create('secret_key', canaries.plantWord(`${set} secret key`));
      await create('backup_password', canaries.plant(`${set} password`));
    });

    test(`list: ${who} sees the sets as ready and unproved, and no secret`, async () => {
      const text = await cioSucceeds(machine, ['list'], as);
      assert.match(text, new RegExp(`^${set} +aws +shared .*(ready, unproved|failed .*)$`, 'm'));
      assert.match(text, new RegExp(`^cio_${set}_backup_repo .*${repository}$`, 'm'));
      for (const format of [text, await cioSucceeds(machine, ['list', '--json'], as)]) {
        assertUnseen(canaries.findIn('the list', format));
      }
    });

    test(`get and remove: ${who} reads a credential, and no longer finds it once it is removed`, async () => {
      const name = 'cio_minio_access_key';
      await cioSucceeds(machine, ['create', name, 'minio'], as);
      assert.equal(await cioSucceeds(machine, ['get', name], as), 'minio');
      const { code } = await cio(machine, ['create', name, 'minio'], as);
      assert.equal(code, EXIT.alreadyExists);
      assert.match(
        (await cio(machine, ['remove', name, '--yes'], as)).stderr,
        /^Succeed: Remove credential: Credential cio_minio_access_key removed$/m,
      );
      assert.equal((await cio(machine, ['get', name], as)).code, EXIT.notFound);
    });
  }

  test('the shared credentials are the same for root and for every administrator', async () => {
    assert.equal(await cioSucceeds(machine, ['get', 'cio_aws_alt_backup_repo']), repository);
    assert.equal(await cioSucceeds(machine, ['get', 'cio_aws_backup_repo'], { user: OPERATOR }), repository);
  });

  for (const [args, code] of [
    [['get', 'cio_aws_secret_key'], EXIT.notFound],
    [['get', 'cio_aws_never_there'], EXIT.notFound],
    [['remove', 'cio_aws_secret_key', '--yes'], EXIT.notFound],
    [['remove', 'aws', '--yes'], EXIT.notFound],
    [['history', 'cio_aws_secret_key'], EXIT.notFound],
    [['env', 'aws'], EXIT.notFound],
    [['get', 'cio_aws_secret_key', '--owner', 'root'], EXIT.notFound],
    [['create', 'cio_aws_secret_key', 'mine', '--replace', '--owner', 'root'], EXIT.accessDenied],
    [['list', '--all-owners'], EXIT.accessDenied],
    [['lock'], EXIT.accessDenied],
    [['slot', 'list'], EXIT.accessDenied],
    [['grant', 'aws', '--unit', 'mine.service'], EXIT.notFound],
  ] as const) {
    test(`a stranger is refused \`${args.join(' ')}\` with exit code ${code}`, async () => {
      const result = await cio(machine, args, { user: STRANGER });
      told.push(result.stdout, result.stderr);
      assert.equal(result.code, code, result.stderr);
      assert.equal(result.stdout, '');
    });
  }

  test('a stranger sees no shared credential, and can keep a credential of the same name', async () => {
    const before = await cio(machine, ['list'], { user: STRANGER });
    told.push(before.stdout, before.stderr);
    assert.deepEqual([before.code, before.stdout], [0, '']);
    await cioSucceeds(machine, ['create', 'cio_aws_secret_key', 'his-own'], { user: STRANGER });
    assert.equal(await cioSucceeds(machine, ['get', 'cio_aws_secret_key'], { user: STRANGER }), 'his-own');
    const { stdout } = await cio(machine, ['list', '--json'], { user: STRANGER });
    told.push(stdout);
    assert.equal((JSON.parse(stdout) as { credentials: unknown[] }).credentials.length, 1);
    assert.notEqual(await cioSucceeds(machine, ['get', 'cio_aws_secret_key']), 'his-own');
  });

  test('no output for a stranger has a secret or the repository in it', () => {
    assertUnseen(canaries.findIn('what a stranger was told', told.join('\n')));
    assert.doesNotMatch(told.join('\n'), /backup-123/);
  });

  test('a stranger can read what is granted to them, and nothing else', async () => {
    await cioSucceeds(machine, ['grant', 'cio_aws_alt_backup_repo', '--user', STRANGER]);
    assert.equal(await cioSucceeds(machine, ['get', 'cio_aws_alt_backup_repo'], { user: STRANGER }), repository);
    assert.equal((await cio(machine, ['get', 'cio_aws_alt_access_key'], { user: STRANGER })).code, EXIT.notFound);
    await cioSucceeds(machine, ['revoke', 'cio_aws_alt_backup_repo', '--user', STRANGER]);
    assert.equal((await cio(machine, ['get', 'cio_aws_alt_backup_repo'], { user: STRANGER })).code, EXIT.notFound);
  });

  test('a unit reads over the socket what is granted to it, and another unit does not', async () => {
    await cioSucceeds(machine, ['grant', 'cio_aws_alt_backup_repo', '--unit', 'reader.service']);
    const inUnit = (unit: string): string[] => {
      const properties = ['--property=DynamicUser=yes', `--unit=${unit}`];
      return ['systemd-run', '--quiet', '--pipe', '--wait', '--collect', ...properties, 'cio', 'credential', 'get'];
    };
    const name = 'cio_aws_alt_backup_repo';
    assert.equal(await machine.succeed([...inUnit('reader.service'), name]), repository);
    assert.equal((await machine.run([...inUnit('other.service'), name])).code, EXIT.notFound);
  });
}
