import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { connect } from '../../../client/index.ts';
import type { CredentialClient } from '../../../client/index.ts';
import { startDaemon } from '../../support/daemon.ts';
import type { Daemon } from '../../support/daemon.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const KILLS = Number(process.env['CIO_TEST_KILLS'] ?? 8);
const NAMES = Array.from({ length: 100 }, (_, index) => `name-${index}`);
/** Large enough that a restore takes a while: half of it is written to the disk before the commit. */
const VALUE_BYTES = 10_000;

async function writeAll(client: CredentialClient, age: 'old' | 'new'): Promise<void> {
  const credentials = NAMES.map((name) => ({ name, value: `${age} `.padEnd(VALUE_BYTES, name) }));
  await client.call('Create', { credentials, replace: true });
}

async function takeCopy(client: CredentialClient): Promise<Buffer> {
  const pieces: string[] = [];
  for await (const reply of client.stream('Backup', {})) pieces.push(...reply.pieces);
  return Buffer.concat(pieces.map((piece) => Buffer.from(piece, 'base64')));
}

async function upload(client: CredentialClient, bytes: Buffer): Promise<{ upload: string; sha256: string }> {
  let id: string | undefined;
  for (let from = 0; from < bytes.length; from += 500_000) {
    const piece = bytes.subarray(from, from + 500_000).toString('base64');
    ({ upload: id } = await client.call('UploadCopy', { piece, ...(id !== undefined && { upload: id }) }));
  }
  return { upload: id ?? '', sha256: createHash('sha256').update(bytes).digest('hex') };
}

/** Returns which of the two contents the store has. It must have all of one and nothing of the other. */
async function ageOf(client: CredentialClient): Promise<string> {
  const values = await Promise.all(NAMES.map(async (name) => (await client.call('Get', { name })).value ?? ''));
  const ages = new Set(values.map((value) => value.slice(0, 3)));
  assert.equal(ages.size, 1, 'a mixture of both');
  assert.deepEqual((await client.call('Fsck', {})).problems, []);
  return [...ages][0] ?? '';
}

async function startAgain(t: TestContext, places: Daemon | Places): Promise<Daemon> {
  return startDaemon(t, { stateDirectory: places.stateDirectory, runtimeDirectory: places.runtimeDirectory });
}

interface Places {
  readonly stateDirectory: string;
  readonly runtimeDirectory: string;
}

describe('a daemon that is killed while restoring a copy', () => {
  it(
    `has all of the old contents or all of the new ones, in ${KILLS} kills`,
    { timeout: 20_000 * KILLS },
    async (t) => {
      const folder = temporaryDirectory(t);
      const places = { stateDirectory: path.join(folder, 'state'), runtimeDirectory: path.join(folder, 'run') };
      let daemon = await startAgain(t, places);
      let client = await connect({ socket: daemon.socketPath });
      await writeAll(client, 'old');
      const copy = await takeCopy(client);
      const began = performance.now();
      await client.call('Restore', await upload(client, copy));
      let delayMs = performance.now() - began;
      const seen = new Set<string>();
      for (let round = 0; round < KILLS; round += 1) {
        await writeAll(client, 'new');
        const call = await upload(client, copy);
        const answer = client.call('Restore', call).then(
          () => 'restored',
          () => 'cut off',
        );
        await wait(delayMs);
        await daemon.service.stop('SIGKILL');
        const said = await answer;
        client.close();
        daemon = await startAgain(t, places);
        client = await connect({ socket: daemon.socketPath });
        const age = await ageOf(client);
        assert.ok(said === 'cut off' || age === 'old', 'what was acknowledged is not there');
        seen.add(age);
        // The kills approach the moment of the commit from both sides.
        delayMs *= age === 'new' ? 1.5 : 0.6;
        assert.equal(fs.existsSync(path.join(places.stateDirectory, 'copies')), false, 'a copy is left behind');
      }
      assert.deepEqual([...seen].toSorted(), ['new', 'old'], 'the kills were all too early, or all too late');
      client.close();
      await daemon.stop();
    },
  );
});
