import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EXIT } from '../../src/errors.ts';
import { cio, cioSucceeds } from './support/cio.ts';
import { PACKAGE_WORK, type Machine } from './support/machine.ts';
import { DEB } from './install.ts';

const KEPT_BY_REMOVE = ['/var/lib/cio-credentiald/credentials.db', '/etc/credstore.encrypted/cio-credentiald.root-key'];

/** What removing and purging the package leave behind. */
export function purge(machine: Machine): void {
  /** Finds files of the package, except in the folders of other tests and the package manager's logs. */
  const leftovers = (): Promise<string> =>
    machine.shell(
      `find /etc /lib /run /usr /var -name '*cio[-_]credential*' \\
         -not -path '/var/log/*' -not -path '/var/tmp/*' -not -path '/run/systemd/transient/*' | sort`,
    );

  test('`apt remove` stops the daemon and its sockets, and keeps the store and its key', async () => {
    await machine.succeed(['apt-get', 'remove', '--yes', 'cio-credentiald'], PACKAGE_WORK);
    assert.equal((await machine.run(['pgrep', '--uid', 'cio-credentiald'])).code, 1);
    assert.equal(await machine.exists('/run/cio-credentiald'), false);
    for (const file of KEPT_BY_REMOVE) assert.ok(await machine.exists(file), file);
    assert.equal((await machine.run(['sh', '-c', 'command -v cio'])).code, 127);
    const units = ['cio-credentiald.service', 'cio-credentiald.socket', 'cio-credentiald-load.socket'];
    for (const unit of [...units, 'system-cio_credential_prober.slice']) {
      assert.equal((await machine.show(unit, 'ActiveState')).ActiveState, 'inactive', unit);
    }
  });

  test('a package that is installed again opens the store that was kept', async () => {
    await machine.succeed(['dpkg', '--install', DEB], PACKAGE_WORK);
    assert.equal(await cioSucceeds(machine, ['get', 'host.kept']), 'kept over the upgrade');
  });

  test('`apt purge` leaves nothing behind', async () => {
    await machine.succeed(['apt-get', 'purge', '--yes', 'cio-credentiald'], PACKAGE_WORK);
    for (const file of KEPT_BY_REMOVE) assert.equal(await machine.exists(file), false, file);
    assert.equal(await leftovers(), '');
    assert.equal((await machine.run(['dpkg-query', '--status', 'cio-credentiald'])).code, 1);
  });

  test('a package that is installed after a purge starts with an empty store and a new key', async () => {
    await machine.succeed(['dpkg', '--install', DEB], PACKAGE_WORK);
    assert.equal((await cio(machine, ['get', 'host.kept'])).code, EXIT.notFound);
    assert.equal(await cioSucceeds(machine, ['list']), '');
  });
}
