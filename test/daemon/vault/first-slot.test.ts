import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { before, describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { createFirstSlot } from '../../../daemon/vault/first-slot.ts';
import { KeyFileError, readKeyFile } from '../../../daemon/vault/key-file.ts';
import { DEFAULT_KEY_FILE, DEFAULT_SYSTEMD_CREDENTIAL } from '../../../daemon/vault/slot-keeper.ts';
import type { SlotPlaces } from '../../../daemon/vault/slot-keeper.ts';
import { openSlot } from '../../../daemon/vault/slots.ts';
import type { SlotRecord } from '../../../daemon/vault/slots.ts';
import { Sodium } from '../../../daemon/vault/sodium.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const STORE_ID = randomBytes(16);
const ROOT_KEY = randomBytes(32);

let sodium: Sodium;
before(async () => {
  sodium = await Sodium.load();
});

function placesOf(t: TestContext): SlotPlaces & { credentialsDirectory: string } {
  const stateDirectory = temporaryDirectory(t);
  const credentialsDirectory = temporaryDirectory(t);
  return { stateDirectory, credentialsDirectory };
}

function create(places: SlotPlaces): ReturnType<typeof createFirstSlot> {
  return createFirstSlot(sodium, STORE_ID, ROOT_KEY, places, 1);
}

function giveCredential({ credentialsDirectory }: { credentialsDirectory: string }, content: string): void {
  // As systemd provides it: read-only, in a directory of its own.
  fs.writeFileSync(path.join(credentialsDirectory, DEFAULT_SYSTEMD_CREDENTIAL), content, { mode: 0o440 });
}

async function opens(slot: SlotRecord, key: Uint8Array): Promise<boolean> {
  const rootKey = await openSlot(sodium, STORE_ID, slot, { key });
  const isRight = rootKey !== undefined && Buffer.compare(rootKey, ROOT_KEY) === 0;
  sodium.release(rootKey);
  return isRight;
}

describe('createFirstSlot()', () => {
  it('makes a key file in the state directory and returns its path', async (t) => {
    const places = { ...placesOf(t), credentialsDirectory: undefined };
    const { slot, newKeyFile } = await create(places);
    assert.equal(newKeyFile, path.join(places.stateDirectory, DEFAULT_KEY_FILE));
    assert.deepEqual([slot.kind, slot.path], ['keyfile', DEFAULT_KEY_FILE]);
    const key = readKeyFile(newKeyFile);
    assert.ok(await opens(slot, key));
  });

  it('uses an existing key file and leaves it unchanged', async (t) => {
    const places = { ...placesOf(t), credentialsDirectory: undefined };
    const file = path.join(places.stateDirectory, DEFAULT_KEY_FILE);
    const content = `${randomBytes(32).toString('base64')}\n`;
    fs.writeFileSync(file, content, { mode: 0o600 });
    const { slot, newKeyFile } = await create(places);
    assert.equal(newKeyFile, undefined);
    assert.equal(fs.readFileSync(file, 'utf8'), content);
    assert.ok(await opens(slot, readKeyFile(file)));
  });

  it('does not replace a key file that it cannot use', async (t) => {
    const places = { ...placesOf(t), credentialsDirectory: undefined };
    const file = path.join(places.stateDirectory, DEFAULT_KEY_FILE);
    fs.writeFileSync(file, 'not a key', { mode: 0o600 });
    await assert.rejects(create(places), KeyFileError);
    fs.writeFileSync(file, randomBytes(32).toString('base64'));
    fs.chmodSync(file, 0o644);
    await assert.rejects(create(places), /chmod 600/);
    assert.deepEqual(fs.readdirSync(places.stateDirectory), [DEFAULT_KEY_FILE]);
  });

  it("uses systemd's credential if there is one, and makes no key file then", async (t) => {
    const places = placesOf(t);
    const key = randomBytes(32);
    giveCredential(places, `${key.toString('base64')}\n`);
    const { slot, newKeyFile } = await create(places);
    assert.deepEqual([slot.kind, slot.credential, newKeyFile], ['systemd', DEFAULT_SYSTEMD_CREDENTIAL, undefined]);
    assert.ok(await opens(slot, key));
    assert.deepEqual(fs.readdirSync(places.stateDirectory), []);
  });

  it('makes a key file if systemd gave only other credentials', async (t) => {
    const places = placesOf(t);
    fs.writeFileSync(path.join(places.credentialsDirectory, 'other'), 'x');
    assert.equal((await create(places)).slot.kind, 'keyfile');
  });

  it("does not fall back to a key file if systemd's credential is not a key", async (t) => {
    const places = placesOf(t);
    giveCredential(places, 'not a key');
    await assert.rejects(create(places), KeyFileError);
    assert.deepEqual(fs.readdirSync(places.stateDirectory), []);
  });

  it("wipes the slot's key, whether it was made, read or given by systemd", async (t) => {
    const places = placesOf(t);
    const hashed = t.mock.method(sodium, 'hashedKey');
    for (let round = 0; round < 2; round += 1) await create({ ...places, credentialsDirectory: undefined });
    giveCredential(places, `${randomBytes(32).toString('base64')}\n`);
    await create(places);
    const keys = hashed.mock.calls.map((call) => call.arguments[0]);
    assert.equal(keys.length, 3);
    for (const key of keys) assert.deepEqual(key, new Uint8Array(32));
  });

  it('leaves no key in the key memory', () => {
    assert.ok(sodium.memory[0]?.every((byte) => byte === 0));
  });
});
