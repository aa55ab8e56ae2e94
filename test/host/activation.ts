import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { EXIT } from '../../src/errors.ts';
import { cio, cioSucceeds, grant, save } from './support/cio.ts';
import { whileCalled } from './support/clients.ts';
import { Consumer, LOAD_SOCKET } from './support/consumer.ts';
import { DAEMON, daemonPid, killDaemon, signalDaemon, untilServing } from './support/daemon.ts';
import type { Machine } from './support/machine.ts';

const SOCKET_UNITS = ['cio-credentiald.socket', 'cio-credentiald-load.socket', 'cio-credentiald-load-encrypted.socket'];

const VARLINK_SOCKET = '/run/cio-credentiald/io.cio.Credentials';

/** The number of crashes in a row. systemd's default limit is five starts in ten seconds. */
const CRASHES = 12;

/** Socket activation and restarts by systemd, and what happens to clients that connect in the meantime. */
export function activation(machine: Machine): void {
  const value = 'there again';
  const state = async (): Promise<string> => (await machine.show(DAEMON, 'ActiveState')).ActiveState;
  /** Tells whether connections wait in the backlog of a listening socket. */
  const isQueued = async (file: string): Promise<boolean> => {
    const lines = await machine.succeed(['ss', '--listening', '--unix', '--no-header', 'src', file]);
    return /^u_str +LISTEN +[1-9]/m.test(lines);
  };

  test('the first command starts a stopped daemon', async () => {
    await save(machine, 'host.cold', value);
    await machine.succeed(['systemctl', 'stop', DAEMON]);
    assert.equal(await state(), 'inactive');
    assert.equal(await cioSucceeds(machine, ['get', 'host.cold']), value);
    assert.equal(await state(), 'active');
  });

  test('a unit that loads a credential starts a stopped daemon', async () => {
    await grant(machine, 'host.cold', '--unit', 'cold.service');
    const consumer = await Consumer.make(machine, 'cold.service', { loads: ['host.cold'] });
    await machine.succeed(['systemctl', 'stop', DAEMON]);
    await consumer.assertGets(value);
    assert.equal(await state(), 'active');
  });

  test('clients connected to a daemon that hangs are answered by the next daemon', async () => {
    const consumer = await Consumer.make(machine, 'cold.service', { loads: ['host.cold'] });
    await signalDaemon(machine, 'STOP');
    const asked = cio(machine, ['get', 'host.cold']);
    await consumer.begin();
    await machine.until(async () => ((await isQueued(VARLINK_SOCKET)) && (await isQueued(LOAD_SOCKET))) || undefined);
    await killDaemon(machine);
    const { code, stdout, stderr } = await asked;
    assert.deepEqual([code, stdout], [EXIT.done, value], stderr);
    await consumer.assertGot(await consumer.end(), value);
  });

  test('all clients that call while the daemon is restarted are answered', async () => {
    await whileCalled(machine, async () => {
      for (let times = 0; times < 3; times++) await machine.succeed(['systemctl', 'restart', DAEMON]);
    });
  });

  test('a daemon that crashes repeatedly is restarted each time', async () => {
    for (let crash = 0; crash < CRASHES; crash++) {
      const pid = await machine.until(() => daemonPid(machine));
      await killDaemon(machine);
      await machine.until(async () => {
        const next = await daemonPid(machine);
        return next === undefined || next === pid ? undefined : next;
      });
    }
    await untilServing(machine);
    assert.equal(
      await machine.succeed(['systemctl', 'is-active', DAEMON, ...SOCKET_UNITS]),
      'active\n'.repeat(1 + SOCKET_UNITS.length),
    );
  });

  test('the watchdog kills a daemon that hangs, and systemd starts it again', async () => {
    const dropIn = `/run/systemd/system/${DAEMON}.d/watchdog.conf`;
    await machine.writeFile(dropIn, '[Service]\nWatchdogSec=1s\nTimeoutAbortSec=1s\n');
    await machine.shell('systemctl daemon-reload; systemctl restart "$1"', DAEMON);
    const before = await daemonPid(machine);
    await signalDaemon(machine, 'STOP');
    assert.equal(await cioSucceeds(machine, ['get', 'host.cold']), value);
    assert.notEqual(await daemonPid(machine), before);
    const entries = await machine.journal(DAEMON);
    assert.ok(entries.some(({ MESSAGE }) => /Watchdog timeout/.test(MESSAGE)));
    await machine.shell('rm -r "$1"; systemctl daemon-reload; systemctl restart "$2"', path.dirname(dropIn), DAEMON);
  });

  test('without any socket, commands exit with "not reachable", and a unit fails instead of using its SetCredential= default', async () => {
    const lines = ['SetCredential=host.cold:default'];
    const consumer = await Consumer.make(machine, 'cold.service', { loads: ['host.cold'], lines });
    await machine.succeed(['systemctl', 'stop', ...SOCKET_UNITS, DAEMON]);
    assert.equal((await cio(machine, ['list'])).code, EXIT.notReachable);
    await consumer.assertRefused();
    await machine.succeed(['systemctl', 'start', ...SOCKET_UNITS]);
    await consumer.assertGets(value);
  });
}
