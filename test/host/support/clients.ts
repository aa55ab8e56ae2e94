import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { save } from './cio.ts';
import type { Machine } from './machine.ts';

const SCRIPT = fs.readFileSync(path.join(import.meta.dirname, 'clients.py'));
const SOCKET = '/run/cio-credentiald/io.cio.Credentials';
const STOP_FILE = '/run/clients-stop';
const NAME = 'host.called';
const VALUE = 'called again and again';

/** Does something to the daemon while clients call it one after the other, and insists that every one was answered. */
export async function whileCalled(machine: Machine, action: () => Promise<void>): Promise<void> {
  await save(machine, NAME, VALUE);
  await machine.succeed(['rm', '-f', STOP_FILE]);
  const clients = machine.succeed(['python3', '-', SOCKET, NAME, STOP_FILE], { input: SCRIPT, timeoutMs: 120_000 });
  try {
    await action();
  } finally {
    await machine.succeed(['touch', STOP_FILE]);
  }
  const outcomes = JSON.parse(await clients) as Record<string, number>;
  assert.deepEqual(Object.keys(outcomes), [VALUE], `not every client was answered: ${JSON.stringify(outcomes)}`);
}
