import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { save } from './cio.ts';
import type { Machine } from './machine.ts';

const SCRIPT = fs.readFileSync(path.join(import.meta.dirname, 'clients.py'));
const SOCKET = '/run/cio-credentiald/io.cio.Credentials';
const START_FILE = '/run/clients-start';
const STOP_FILE = '/run/clients-stop';
const NAME = 'host.called';
const VALUE = 'called again and again';

/** Runs an action on the daemon while clients call it one after the other, and checks that every call was answered. */
export async function whileCalled(machine: Machine, action: () => Promise<void>): Promise<void> {
  await save(machine, NAME, VALUE);
  await machine.succeed(['rm', '-f', START_FILE, STOP_FILE]);
  const command = ['python3', '-', SOCKET, NAME, START_FILE, STOP_FILE];
  const clients = machine.succeed(command, { input: SCRIPT, timeoutMs: 120_000 });
  // A failure is reported below, where the clients are awaited.
  clients.catch(() => undefined);
  try {
    // Otherwise the action may be over before the first client calls.
    await Promise.race([clients, machine.until(async () => (await machine.exists(START_FILE)) || undefined)]);
    await action();
  } finally {
    await machine.succeed(['touch', STOP_FILE]);
  }
  const outcomes = JSON.parse(await clients) as Record<string, number>;
  assert.deepEqual(Object.keys(outcomes), [VALUE], `not every client was answered: ${JSON.stringify(outcomes)}`);
}
