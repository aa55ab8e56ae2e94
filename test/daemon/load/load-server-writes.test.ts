import assert from 'node:assert/strict';
import fs from 'node:fs';
import { describe, it } from 'node:test';
import koffi from 'koffi';
import { PLAIN_WIRE } from '../../../daemon/load/wire.ts';
import { eventually } from '../../support/eventually.ts';
import { runSuccessfully } from '../../support/process.ts';
import { REQUEST, beforeWrites, isMarkedBegun, readToEnd, serve, value } from './served-socket.ts';
import type { Served } from './served-socket.ts';

/** Reads an answer to its end, and prints its length. */
const READER = `
let bytes = 0;
const socket = require('node:net').connect({ path: process.argv[1], allowHalfOpen: true }).end();
socket.on('data', (chunk) => (bytes += chunk.length)).on('end', () => process.stdout.write(String(bytes)));
`;

describe('LoadServer', () => {
  it('writes an answer longer than the socket buffer without returning to the event loop, to a peer that reads', async (t) => {
    const served = await serve(t);
    const { manager } = served;
    served.answer = () => ({ kind: 'value', bytes: Buffer.alloc(1024 * 1024, 'abc') });
    let isFull = false;
    const keptBehindFull: number[] = [];
    beforeWrites(
      t,
      () => {
        if (isFull) keptBehindFull.push(manager.stored.size);
      },
      () => {
        isFull = true;
        // Kept from now on, although it could not be kept at first.
        manager.isAccepting = true;
        setImmediate(() => (isFull = false));
      },
    );
    // A reader that gets no CPU for a tenth of a second is a slow one: try again.
    for (let tries = 0; tries < 20 && keptBehindFull.length === 0; tries += 1) {
      manager.isAccepting = false;
      manager.calls.length = 0;
      assert.equal(await runSuccessfully([process.execPath, '-e', READER, served.file]), `${1024 * 1024}`);
    }
    assert.ok(keptBehindFull.length > 0, 'it wrote on in the same turn');
    assert.ok(keptBehindFull.every((kept) => kept === 1));
    await eventually(() => manager.stored.size === 0);
    assert.deepEqual(manager.calls, ['store', 'remove']);
  });

  it('marks the answer to a kept peer as begun before its first byte', async (t) => {
    const served = await serve(t);
    served.answer = value('the value');
    const marked: boolean[] = [];
    beforeWrites(t, (fd) => void marked.push(isMarkedBegun(fd)));
    assert.deepEqual(await served.ask(), Buffer.from('the value'));
    assert.deepEqual(marked, [true]);
  });

  it('has a peer kept before the first byte of its answer if that failed when it came', async (t) => {
    const served: Served = await serve(t, PLAIN_WIRE, () => {
      served.manager.isAccepting = true;
      return REQUEST;
    });
    served.manager.isAccepting = false;
    served.answer = value('the value');
    const marked: boolean[] = [];
    beforeWrites(t, (fd) => void marked.push(isMarkedBegun(fd)));
    assert.deepEqual(await served.ask(), Buffer.from('the value'));
    assert.deepEqual(marked, [true]);
    await eventually(() => served.manager.calls.length === 2);
    assert.deepEqual(served.manager.calls, ['store', 'remove']);
  });

  it('works on if a peer leaves in the middle of its answer, and releases its place', async (t) => {
    const served = await serve(t);
    served.answer = () => ({ kind: 'value', bytes: Buffer.alloc(1024 * 1024, 'abc') });
    const peer = served.connect();
    await new Promise((resolve) => peer.once('readable', resolve));
    await eventually(() => served.manager.stored.size === 1);
    peer.destroy();
    await eventually(() => served.manager.stored.size === 0);
    served.answer = value('the value');
    assert.deepEqual(await served.ask(), Buffer.from('the value'));
  });

  it('retries an answer for which the kernel has no memory: to systemd, the end of the connection would be a secret', async (t) => {
    const served = await serve(t);
    served.answer = value('the value');
    let refused = 0;
    beforeWrites(t, () => {
      refused += 1;
      if (refused <= 3) throw Object.assign(new Error('no buffer space'), { code: 'ENOBUFS' });
    });
    assert.deepEqual(await served.ask(), Buffer.from('the value'));
    assert.ok(refused > 3);
  });

  for (const [what, isHandedOver] of [
    ['a socket of systemd', true],
    ['a path of its own', false],
  ] as const) {
    it(`answers a peer that waited at ${what} to be accepted while there were no descriptors`, async (t) => {
      const served = await serve(t, PLAIN_WIRE, undefined, isHandedOver);
      served.answer = value('the value');
      const first = served.connect();
      await new Promise((resolve) => first.once('connect', resolve));
      assert.deepEqual(await readToEnd(first), Buffer.from('the value'));
      const taken: number[] = [];
      const takeAll = (): void => {
        try {
          for (;;) taken.push(fs.openSync('/dev/null', 'r'));
        } catch (error) {
          assert.equal((error as NodeJS.ErrnoException).code, 'EMFILE');
        }
      };
      let taking: NodeJS.Timeout | undefined;
      const before = limitDescriptors(Math.max(...fs.readdirSync('/proc/self/fd').map(Number)) + 8);
      const giveBack = (): void => {
        clearInterval(taking);
        for (const fd of taken.splice(0)) fs.closeSync(fd);
        limitDescriptors(before);
      };
      t.after(giveBack);
      // The client gets its descriptor before none is left.
      const client = served.connect();
      takeAll();
      // Takes every descriptor that the server releases meanwhile to watch the socket with.
      taking = setInterval(takeAll, 1);
      await new Promise((resolve) => setTimeout(resolve, 300));
      giveBack();
      assert.deepEqual(await readToEnd(client), Buffer.from('the value'));
      assert.deepEqual(served.log, [
        'cio-credentiald: error: a unit waits, but its connection cannot be accepted reason=too many open files\n',
      ]);
    });
  }
});

type LimitCall = (resource: number, limits: BigUint64Array) => number;

const libc = koffi.load('libc.so.6');
const getLimit = libc.func('int getrlimit(int, uint64_t *)') as unknown as LimitCall;
const setLimit = libc.func('int setrlimit(int, uint64_t *)') as unknown as LimitCall;

/**
 * Limits the descriptors of this process, without starting a process that would use some (setrlimit(2)). @returns the
 * previous limit
 */
function limitDescriptors(count: number): number {
  const RLIMIT_NOFILE = 7;
  const limits = new BigUint64Array(2);
  assert.equal(getLimit(RLIMIT_NOFILE, limits), 0);
  const before = Number(limits[0]);
  limits[0] = BigInt(count);
  assert.equal(setLimit(RLIMIT_NOFILE, limits), 0);
  return before;
}
