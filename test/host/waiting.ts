import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { setTimeout as pass } from 'node:timers/promises';
import { cioSucceeds, grant, save, untilWaiting } from './support/cio.ts';
import { Consumer, LOAD_ENCRYPTED_SOCKET, LOAD_SOCKET } from './support/consumer.ts';
import type { ConsumerOptions } from './support/consumer.ts';
import { DAEMON, killDaemon, signalDaemon, untilServing } from './support/daemon.ts';
import type { Machine } from './support/machine.ts';

/** Longer than any answer takes without waiting. */
const SLOW_MS = 2000;

/** More than the unit's FileDescriptorStoreMax=. */
const STARTS_AT_ONCE = 140;

/**
 * Units that wait for a credential that does not exist yet (`grant … --missing block`), and what happens to the daemon
 * meanwhile.
 */
export function waitingUnits(machine: Machine): void {
  /** Starts a unit that waits; returns it and the value that it is to get. */
  const begin = async (
    name: string,
    options: ConsumerOptions = { loads: [name] },
  ): Promise<{ consumer: Consumer; value: Buffer }> => {
    await grant(machine, name, '--unit', `${name}.service`, '--missing', 'block');
    const consumer = await Consumer.make(machine, `${name}.service`, options);
    await consumer.begin();
    await untilWaiting(machine, 1);
    return { consumer, value: randomBytes(100) };
  };

  test('a unit that waits gets the value when it is stored seconds later', async () => {
    const { consumer, value } = await begin('host.slow');
    await pass(SLOW_MS);
    assert.equal((await machine.show(consumer.unit, 'ActiveState')).ActiveState, 'activating');
    await save(machine, 'host.slow', value);
    await consumer.assertGot(await consumer.end(), value);
    await untilWaiting(machine, 0);
  });

  for (const [socket, directive] of [
    ['load', 'LoadCredential'],
    ['load-encrypted', 'LoadCredentialEncrypted'],
  ] as const) {
    const optionsOf = (name: string): ConsumerOptions => ({
      lines: [`${directive}=${name}:/run/cio-credentiald/${socket}`],
    });

    test(`${directive}=: a unit that waits keeps waiting when the daemon is killed, and gets the value`, async () => {
      const name = `host.killed-${socket}`;
      const { consumer, value } = await begin(name, optionsOf(name));
      for (let times = 0; times < 2; times++) {
        await killDaemon(machine);
        await untilServing(machine);
        await untilWaiting(machine, 1);
      }
      await save(machine, name, value);
      await consumer.assertGot(await consumer.end(), value);
    });

    for (const verb of ['stop', 'restart'] as const) {
      test(`${directive}=: \`systemctl ${verb}\` refuses a unit that waits`, async () => {
        const name = `host.${verb}-${socket}`;
        const { consumer } = await begin(name, optionsOf(name));
        await machine.succeed(['systemctl', verb, DAEMON]);
        await consumer.assertFailed(await consumer.end());
        await untilServing(machine);
        await untilWaiting(machine, 0);
      });
    }
  }

  test('a value that is stored while the daemon is down reaches the unit that waits', async () => {
    const { consumer, value } = await begin('host.meanwhile');
    await killDaemon(machine);
    await save(machine, 'host.meanwhile', value);
    await consumer.assertGot(await consumer.end(), value);
  });

  test('a unit that waits longer than its TimeoutStartSec= fails, and no longer counts as waiting', async () => {
    const name = 'host.never';
    const { consumer } = await begin(name, { loads: [name], lines: ['TimeoutStartSec=1s'] });
    const outcome = await consumer.end();
    assert.equal(outcome.Result, 'timeout');
    await untilWaiting(machine, 0);
  });

  test('a unit that waits is not served by a grant to another unit or by a value of another name', async () => {
    const { consumer, value } = await begin('host.patient');
    await save(machine, 'host.other', value);
    await grant(machine, 'host.other', '--unit', 'other.service');
    await untilWaiting(machine, 1);
    await cioSucceeds(machine, ['revoke', 'host.patient', '--unit', consumer.unit]);
    await consumer.assertFailed(await consumer.end());
  });

  test('a unit that waits behind more starts than systemd keeps connections for survives a kill of the daemon', async () => {
    await save(machine, 'host.boot', 'of all');
    await grant(machine, 'host.boot', '--unit', 'boot@.service');
    await machine.writeFile(
      '/run/systemd/system/boot@.service',
      `[Service]\nType=oneshot\nLoadCredential=host.boot:${LOAD_SOCKET}\nExecStart=/bin/true\n`,
    );
    await grant(machine, 'host.last', '--unit', 'host.last.service', '--missing', 'block');
    const consumer = await Consumer.make(machine, 'host.last.service', { loads: ['host.last'] });
    const queued = async (count: number): Promise<void> => {
      const command = ['ss', '--listening', '--unix', '--no-header', 'src', LOAD_SOCKET];
      await machine.until(async () => Number((await machine.succeed(command)).split(/\s+/)[2]) === count || undefined);
    };
    // While the daemon is stopped, all connections wait in the socket's backlog.
    await signalDaemon(machine, 'STOP');
    await machine.shell('systemctl start --no-block $(seq --format="boot@%g.service" "$1")', String(STARTS_AT_ONCE));
    await queued(STARTS_AT_ONCE);
    await consumer.begin();
    await queued(STARTS_AT_ONCE + 1);
    await signalDaemon(machine, 'CONT');
    await untilWaiting(machine, 1);
    assert.equal((await machine.show(DAEMON, 'NFileDescriptorStore')).NFileDescriptorStore, '1');
    await killDaemon(machine);
    await untilServing(machine);
    await save(machine, 'host.last', 'for the last');
    await consumer.assertGot(await consumer.end(), 'for the last');
  });

  test('eight units that wait survive a kill of the daemon, and each gets its own value', async () => {
    const consumers: Consumer[] = [];
    for (let index = 0; index < 8; index++) {
      const name = `host.crowd${index}`;
      await grant(machine, name, '--unit', `${name}.service`, '--missing', 'block');
      const socket = index % 2 === 0 ? 'LoadCredential' : 'LoadCredentialEncrypted';
      const at = index % 2 === 0 ? '/run/cio-credentiald/load' : LOAD_ENCRYPTED_SOCKET;
      const consumer = await Consumer.make(machine, `${name}.service`, { lines: [`${socket}=${name}:${at}`] });
      consumers.push(consumer);
    }
    await Promise.all(consumers.map((consumer) => consumer.begin()));
    await untilWaiting(machine, consumers.length);
    await killDaemon(machine);
    await untilServing(machine);
    await untilWaiting(machine, consumers.length);
    for (const index of consumers.keys()) await save(machine, `host.crowd${index}`, `value ${index}`);
    for (const [index, consumer] of consumers.entries()) {
      await consumer.assertGot(await consumer.end(), `value ${index}`);
    }
  });
}
