import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { VALUE_BYTES_MAX } from '../../src/limits.ts';
import { cpuMsOf } from '../bench/processor-time.ts';
import { DAEMON_SOURCE, startDaemon } from '../support/daemon.ts';
import { root, skipUnless } from '../support/requirements.ts';
import { residentBytes } from '../support/resident-bytes.ts';
import { RawVarlink } from '../support/varlink.ts';
import { CREDENTIALS } from './daemon-process.ts';

describe('a daemon with malicious peers', { concurrency: 3, skip: skipUnless(root) }, () => {
  const stranger = { uid: 3001, gid: 3001 };

  it('answers TimedOut to an incomplete message after ten seconds, and keeps an idle connection', async (t) => {
    const daemon = await startDaemon(t);
    const quiet = await RawVarlink.connect(t, daemon.socketPath);
    const slow = await RawVarlink.connect(t, daemon.socketPath, stranger);
    const since = performance.now();
    slow.send('{"method":"io.cio.Cred');
    assert.deepEqual(await slow.receive(), { error: `${CREDENTIALS}.TimedOut`, parameters: {} });
    assert.equal(await slow.receive(), undefined);
    const elapsedMs = performance.now() - since;
    assert.ok(elapsedMs > 9_000 && elapsedMs < 15_000, `${elapsedMs} ms`);
    assert.equal((await quiet.call(`${CREDENTIALS}.Status`)).error, undefined);
  });

  it('does not grow by unread answers, and serves others', async (t) => {
    const daemon = await startDaemon(t);
    const owner = await RawVarlink.connect(t, daemon.socketPath, stranger);
    const value = 'x'.repeat(VALUE_BYTES_MAX);
    await owner.call(`${CREDENTIALS}.Create`, { credentials: [{ name: 'large', value }] });
    const before = residentBytes(daemon.pid);
    const count = 150;
    for (let index = 0; index < count; index += 1) {
      const client = await RawVarlink.connect(t, daemon.socketPath, stranger);
      client.socket.pause();
      for (let call = 0; call < 10; call += 1)
        client.send({ method: `${CREDENTIALS}.Get`, parameters: { name: 'large' } });
    }
    const other = await RawVarlink.connect(t, daemon.socketPath);
    for (let round = 0; round < 200; round += 1) {
      assert.equal((await other.call(`${CREDENTIALS}.Status`)).error, undefined);
    }
    const growth = residentBytes(daemon.pid) - before;
    assert.ok(growth < count * VALUE_BYTES_MAX, `it grew by ${growth} bytes`);
  });

  it('does not grow by many long lists at once, nor delay other users for them', async (t) => {
    const daemon = await startDaemon(t);
    const owner = await RawVarlink.connect(t, daemon.socketPath, stranger);
    for (let start = 0; start < 1000; start += 250) {
      const credentials = Array.from({ length: 250 }, (_, index) => ({
        name: `cio_s3_${start + index}_access_key`,
        value: 'x'.repeat(4096),
      }));
      assert.equal((await owner.call(`${CREDENTIALS}.Create`, { credentials })).error, undefined);
    }
    const listed = (await owner.call(`${CREDENTIALS}.List`)).parameters?.['credentials'] as object[];
    assert.equal(listed.length, 1000);
    const other = await RawVarlink.connect(t, daemon.socketPath);
    // What the daemon works before it answers: a busy machine makes everybody wait, but does not add to this.
    const workMs = async (): Promise<number> => {
      const since = cpuMsOf(daemon.pid);
      await other.call(`${CREDENTIALS}.Status`);
      return cpuMsOf(daemon.pid) - since;
    };
    const before = residentBytes(daemon.pid);
    const clients = await Promise.all(
      Array.from({ length: 100 }, () => RawVarlink.connect(t, daemon.socketPath, stranger)),
    );
    for (const client of clients) client.send({ method: `${CREDENTIALS}.List` });
    const works: number[] = [];
    for (let round = 0; round < 10; round += 1) works.push(await workMs());
    const growth = residentBytes(daemon.pid) - before;
    const median = works.toSorted((a, b) => a - b)[5] ?? 0;
    assert.ok(growth < 150 * 1024 * 1024, `it grew by ${growth} bytes`);
    assert.ok(median < 150, `${median} ms of work before another user's Status`);
  });

  it('survives a hundred calls at once whose lists together are larger than its heap', async (t) => {
    const [node = '', ...rest] = DAEMON_SOURCE;
    const daemon = await startDaemon(t, { command: [node, '--max-old-space-size=192', ...rest] });
    const owner = await RawVarlink.connect(t, daemon.socketPath, stranger);
    // A character outside of latin1: V8 takes two bytes for each character of the text.
    const value = `-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n€`.padEnd(4000, 'x');
    for (let start = 0; start < 1000; start += 250) {
      const names = Array.from({ length: 250 }, (_, index) => `cio_s${start + index}_endpoint_ca`);
      const credentials = names.map((name) => ({ name, value }));
      assert.equal((await owner.call(`${CREDENTIALS}.Create`, { credentials })).error, undefined);
    }
    const clients = await Promise.all(
      Array.from({ length: 100 }, () => RawVarlink.connect(t, daemon.socketPath, stranger)),
    );
    for (const client of clients) client.send({ method: `${CREDENTIALS}.List` });
    // The hundred replies would be 900 MB. After a few of them, it is certain that they are not made together.
    for (const client of clients.slice(0, 8)) {
      const listed = (await client.receive())?.parameters?.['credentials'] as object[] | undefined;
      assert.equal(listed?.length, 1000, daemon.lastWords);
    }
  });
});
