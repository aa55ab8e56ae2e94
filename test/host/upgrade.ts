import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cioSucceeds, grant, save, untilWaiting } from './support/cio.ts';
import { whileCalled } from './support/clients.ts';
import { Consumer } from './support/consumer.ts';
import { DAEMON, daemonPid } from './support/daemon.ts';
import { PACKAGE_WORK, type Machine } from './support/machine.ts';
import { DEB } from './install.ts';

const NEXT_DEB = '/var/tmp/package/cio-credentiald-next.deb';
const ROOT_KEY = '/etc/credstore.encrypted/cio-credentiald.root-key';

/** A version that dpkg sorts after every version of this project. */
const NEXT_VERSION = '999';

/** An upgrade to the next package, which keeps the store and turns no client away. */
export function upgrade(machine: Machine): void {
  const value = 'kept over the upgrade';

  test('an upgrade keeps the store and the key, and all clients that call meanwhile are answered', async () => {
    await save(machine, 'host.kept', value);
    await machine.shell(
      `cd "$(dirname "$1")"; dpkg-deb --raw-extract "$1" next
       sed -i "s/^Version: .*/Version: $3/" next/DEBIAN/control
       dpkg-deb --build -Znone next "$2" > /dev/null`,
      DEB,
      NEXT_DEB,
      NEXT_VERSION,
    );
    const key = await machine.succeed(['sha256sum', ROOT_KEY]);
    const pid = await daemonPid(machine);
    await whileCalled(machine, async () => {
      await machine.succeed(['dpkg', '--install', NEXT_DEB], PACKAGE_WORK);
    });
    assert.match(
      await machine.succeed(['dpkg-query', '--show', 'cio-credentiald']),
      new RegExp(`\\t${NEXT_VERSION}\n$`),
    );
    assert.notEqual(await daemonPid(machine), pid, 'the old daemon still runs');
    assert.equal(await cioSucceeds(machine, ['get', 'host.kept']), value);
    assert.equal(await machine.succeed(['sha256sum', ROOT_KEY]), key);
    assert.equal((await machine.show(DAEMON, 'StatusText')).StatusText, 'The store is open');
  });

  test('an upgrade refuses a unit that waits, which never starts with an empty secret', async () => {
    await grant(machine, 'host.upgraded', '--unit', 'upgraded.service', '--missing', 'block');
    const consumer = await Consumer.make(machine, 'upgraded.service', { loads: ['host.upgraded'] });
    await consumer.begin();
    await untilWaiting(machine, 1);
    await machine.succeed(['dpkg', '--install', NEXT_DEB], PACKAGE_WORK);
    await consumer.assertFailed(await consumer.end());
    await save(machine, 'host.upgraded', value);
    await consumer.assertGets(value);
  });
}
