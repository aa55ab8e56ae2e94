import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EXIT } from '../../src/errors.ts';
import { cio, cioSucceeds } from './support/cio.ts';
import { PACKAGE_WORK, type Machine } from './support/machine.ts';
import { DEB } from './install.ts';

const KEPT_BY_REMOVE = ['/var/lib/cio-credentiald/credentials.db', '/etc/credstore.encrypted/cio-credentiald.root-key'];

/** What is left of the package when it goes. */
export function purge(machine: Machine): void {
  /** Files of ours anywhere but in the places of other tests, and in the logs of the package manager. */
  const leftovers = (): Promise<string> =>
    machine.shell(
      `find /etc /lib /run /usr /var -name '*cio[-_]credential*' \\
         -not -path '/var/log/*' -not -path '/var/tmp/*' -not -path '/run/systemd/transient/*' | sort`,
    );

  test('`apt remove` ends the daemon and its sockets, and keeps the store and its key', async () => {
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

  test('installed again, it opens the store that was kept', async () => {
    await machine.succeed(['dpkg', '--install', DEB], PACKAGE_WORK);
    assert.equal(await cioSucceeds(machine, ['get', 'host.kept']), 'kept over the upgrade');
  });

  test('`apt purge` leaves nothing', async () => {
    await machine.succeed(['apt-get', 'purge', '--yes', 'cio-credentiald'], PACKAGE_WORK);
    for (const file of KEPT_BY_REMOVE) assert.equal(await machine.exists(file), false, file);
    assert.equal(await leftovers(), '');
    assert.equal((await machine.run(['dpkg-query', '--status', 'cio-credentiald'])).code, 1);
  });

  test('installed after a purge, it begins with an empty store and another key', async () => {
    await machine.succeed(['dpkg', '--install', DEB], PACKAGE_WORK);
    assert.equal((await cio(machine, ['get', 'host.kept'])).code, EXIT.notFound);
    assert.equal(await cioSucceeds(machine, ['list']), '');
  });
}
