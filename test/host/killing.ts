import assert from 'node:assert/strict';
import { randomBytes, randomInt } from 'node:crypto';
import { test } from 'node:test';
import { setTimeout as pass } from 'node:timers/promises';
import { grant, save } from './support/cio.ts';
import { Consumer, LOAD_ENCRYPTED_SOCKET, LOAD_SOCKET } from './support/consumer.ts';
import { killDaemon, untilServing } from './support/daemon.ts';
import type { Machine } from './support/machine.ts';

/**
 * Fewer starts for the encrypted socket, whose format makes it fail closed. For the plain socket, that depends on what
 * the daemon does.
 */
const STARTS = { LoadCredential: 20, LoadCredentialEncrypted: 10 };

/** A unit's start takes about 50 ms. The kill comes during it or shortly before. */
const KILL_WITHIN_MS = 80;

/**
 * More than a Unix socket's buffer holds (net.core.wmem_default is 212,992 bytes), so that an answer takes several
 * writes.
 */
const LARGE_BYTES = 900_000;

/** The daemon is killed at random moments of a unit's start. */
export function killing(machine: Machine): void {
  for (const [directive, socket, bytes] of [
    ['LoadCredential', LOAD_SOCKET, 40],
    ['LoadCredential', LOAD_SOCKET, LARGE_BYTES],
    ['LoadCredentialEncrypted', LOAD_ENCRYPTED_SOCKET, 40],
    ['LoadCredentialEncrypted', LOAD_ENCRYPTED_SOCKET, 600_000],
  ] as const) {
    test(`${directive}= of ${bytes} bytes: the unit gets the value or fails to start, whenever the daemon is killed`, async (t) => {
      const name = `host.kill-${bytes}`;
      const value = randomBytes(bytes);
      await save(machine, name, value);
      await grant(machine, name, '--unit', `${name}.service`);
      const lines = [`${directive}=${name}:${socket}`];
      const consumer = await Consumer.make(machine, `${name}.service`, { lines });
      let started = 0;
      for (let times = 0; times < STARTS[directive]; times++) {
        const delayMs = randomInt(KILL_WITHIN_MS);
        await Promise.all([consumer.begin(), pass(delayMs).then(() => killDaemon(machine))]);
        if (await consumer.assertGetsOrRefused(await consumer.end(), value)) started++;
        await untilServing(machine);
      }
      t.diagnostic(`${started} of ${STARTS[directive]} starts had the value, the others failed`);
      assert.ok(started > 0, 'no start had the value: the kills hit before everything else');
    });
  }
}
