import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Canaries } from '../support/canary.ts';
import { assertUnseen } from '../support/canary.ts';
import type { S3Server, S3User } from '../support/s3-server.ts';
import { cioSucceeds, grant, save } from './support/cio.ts';
import type { Machine } from './support/machine.ts';

const EXAMPLES = '/usr/share/doc/cio-credentiald/examples';
const UNIT = 'restic-backup@aws.service';

/** Makes files of many kinds: empty, big, binary, private, with odd names, a link, an executable. */
const MAKE_FILES = `
  mkdir -p '/srv/source/inner/empty folder'
  cd /srv/source
  : > empty
  head -c 3000000 /dev/urandom > big
  printf 'text\\n' > 'inner/name with "quotes" and ümlauts'
  printf '#!/bin/sh\\n' > inner/run
  chmod 0750 inner/run
  printf 'of one user alone\\n' > inner/closed
  chmod 0600 inner/closed
  chown cio-operator: inner/closed
  ln -s ../big inner/link
`;

/** Lists the path, type, mode, owner, size, link target and time of everything that is not a folder. */
const LIST_FILES = `cd "$1"; find . -printf '%P %y %m %u:%g %s %l %T@\\n' | grep -v ' d ' | sort`;

/** The example units of the package, used as their comments say, against a real S3 server. */
export function restic(machine: Machine, canaries: Canaries, { endpoint }: S3Server, user: S3User): void {
  test('the example backs up to a real S3 server with credentials from the daemon only', async () => {
    await save(machine, 'cio_aws_backup_repo', `s3:${endpoint}/host-backup`);
    await save(machine, 'cio_aws_access_key', user.accessKey);
    await save(machine, 'cio_aws_secret_key', user.secretKey);
    await save(machine, 'cio_aws_backup_password', canaries.plant('restic password'));
    await machine.shell(MAKE_FILES);
    await machine.shell('cp "$1"/restic-backup@.* /etc/systemd/system/; systemctl daemon-reload', EXAMPLES);
    await grant(machine, 'aws', '--unit', 'restic-backup@.service');
    await machine.writeFile(
      `/etc/systemd/system/${UNIT}.d/paths.conf`,
      '[Service]\nEnvironment=BACKUP_PATHS=/srv/source\n',
    );
    await machine.succeed(['systemctl', 'enable', '--now', 'restic-backup@aws.timer']);
    assert.match(await cioSucceeds(machine, ['exec', 'aws', '--', 'restic', 'init']), /created restic repository/);
    await machine.succeed(['systemctl', 'start', UNIT]);
    assert.equal((await machine.show(UNIT, 'Result')).Result, 'success');
  });

  test('the backup is restored byte for byte', async () => {
    await cioSucceeds(machine, ['exec', 'aws', '--', 'restic', 'restore', 'latest', '--target', '/srv/restored']);
    await machine.succeed(['diff', '--recursive', '--no-dereference', '/srv/source', '/srv/restored/srv/source']);
    assert.equal(
      await machine.shell(LIST_FILES, '/srv/restored/srv/source'),
      await machine.shell(LIST_FILES, '/srv/source'),
    );
    assert.match(await cioSucceeds(machine, ['exec', 'aws', '--', 'restic', 'check']), /no errors were found/);
  });

  test('the timer is active and has a next run', async () => {
    const { ActiveState, NextElapseUSecRealtime } = await machine.show(
      'restic-backup@aws.timer',
      'ActiveState',
      'NextElapseUSecRealtime',
    );
    assert.equal(ActiveState, 'active');
    assert.match(NextElapseUSecRealtime, /\d\d:\d\d:\d\d/);
  });

  test('an instance without a grant for its set fails with 243/CREDENTIALS before restic runs', async () => {
    const { code } = await machine.run(['systemctl', 'start', 'restic-backup@aws_alt.service']);
    assert.notEqual(code, 0);
    const entries = await machine.journal('restic-backup@aws_alt.service');
    assert.ok(entries.some(({ MESSAGE }) => MESSAGE.includes('status=243/CREDENTIALS')));
  });

  test('no secret of the backup is in the journal or in what systemd shows of the unit', async () => {
    const journal = await machine.succeed(['journalctl', '--all', '--output=json', '--no-pager']);
    assertUnseen(canaries.findIn('the journal', journal));
    assertUnseen(canaries.findIn('systemctl show', await machine.succeed(['systemctl', 'show', UNIT])));
  });
}
