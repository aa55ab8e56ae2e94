import assert from 'node:assert/strict';
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import net from 'node:net';
import path from 'node:path';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import koffi from 'koffi';
import type { InheritedSocket } from '../../../daemon/kernel/inherited-sockets.ts';
import { UnknownPeerError } from '../../../daemon/kernel/peer.ts';
import type { ServiceManager } from '../../../daemon/kernel/service-manager.ts';
import type { LoadRequest } from '../../../daemon/load/address.ts';
import type { LoadAnswer } from '../../../daemon/load/answer.ts';
import { LoadServer, WAITING_MAX } from '../../../daemon/load/load-server.ts';
import { UntrustedPeerError } from '../../../daemon/load/authenticate-request.ts';
import { PLAIN_WIRE, SEALED_WIRE } from '../../../daemon/load/wire.ts';
import type { LoadWire } from '../../../daemon/load/wire.ts';
import { getSocketOption, setSocketOption } from '../../../daemon/kernel/libc.ts';
import { createLog } from '../../../daemon/log.ts';
import { eventually } from '../../support/eventually.ts';
import { runSuccessfully } from '../../support/process.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

/** How long a stopping server waits for peers that still read. */
const STOP_TIME_MAX_MS = 20_000;
const REFUSAL = Buffer.alloc(1024 * 1024 + 1);
const SEALED_REFUSAL = Buffer.alloc(1024 * 1024 + 128 * 1024 + 1);
const REQUEST: LoadRequest = { unit: 'restic.service', id: 'token' };

/** A service manager that stores descriptors, as systemd does, and records its calls. */
class FakeServiceManager implements ServiceManager {
  readonly storesDescriptors: boolean = true;
  readonly stored: Map<string, number> = new Map();
  readonly calls: string[] = [];
  /** Whether each call to storeDescriptor() was one that needs to succeed. */
  readonly neededFlags: boolean[] = [];
  isAccepting = true;
  ready(): void {}
  status(): void {}
  stopping(): void {}
  pingWatchdog(): void {}
  storeDescriptor(fd: number, name: string, isNeeded = false): boolean {
    this.neededFlags.push(isNeeded);
    if (!this.isAccepting) return false;
    this.calls.push('store');
    this.stored.set(name, fd);
    return true;
  }
  removeDescriptor(name: string): void {
    this.calls.push('remove');
    assert.ok(this.stored.delete(name), 'it was kept');
  }
}

/** A served socket, and the answer that the test makes it give. */
interface Served {
  readonly server: LoadServer;
  readonly manager: FakeServiceManager;
  readonly log: string[];
  answer: LoadAnswer | (() => LoadAnswer);
  /** Returns everything a client reads to the end, or the error code if the connection breaks. */
  ask(): Promise<Buffer | string>;
  connect(): net.Socket;
  readonly file: string;
}

/** Reads an answer to its end, and prints its length. */
const READER = `
let bytes = 0;
const socket = require('node:net').connect({ path: process.argv[1], allowHalfOpen: true }).end();
socket.on('data', (chunk) => (bytes += chunk.length)).on('end', () => process.stdout.write(String(bytes)));
`;

async function serve(
  t: TestContext,
  wire: LoadWire = PLAIN_WIRE,
  identify: () => LoadRequest = () => REQUEST,
  isHandedOver = true,
): Promise<Served> {
  const manager = new FakeServiceManager();
  const log: string[] = [];
  const file = path.join(temporaryDirectory(t), 'load');
  const server = new LoadServer({
    wire,
    manager,
    log: createLog((line) => void log.push(line), false),
    identify,
    answer: () => (typeof served.answer === 'function' ? served.answer() : served.answer),
  });
  const clients: net.Socket[] = [];
  const connect = (): net.Socket => {
    const client = net.connect({ path: file, allowHalfOpen: true }).end();
    clients.push(client);
    return client;
  };
  const served: Served = {
    server,
    manager,
    log,
    answer: { kind: 'refused', reason: 'not_granted' },
    connect,
    file,
    ask: () => readToEnd(connect()),
  };
  // As passed on by systemd: already listening.
  const handedOver = (): InheritedSocket => ({ fd: listenAt(file), name: 'load', isListening: true });
  await server.listen(isHandedOver ? handedOver() : { path: file });
  // The calls of its rehearsal.
  manager.calls.length = 0;
  t.after(async () => {
    // A failed test reads no more; the server must not wait for it.
    for (const client of clients) client.destroy();
    await server.stop();
  });
  return served;
}

function readToEnd(socket: net.Socket): Promise<Buffer | string> {
  const chunks: Buffer[] = [];
  return new Promise((resolve) => {
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    socket.on('end', () => resolve(Buffer.concat(chunks)));
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? ''));
  });
}

const value = (text: string): (() => LoadAnswer) => {
  // The bytes are wiped after use, so each answer gets its own.
  return () => ({ kind: 'value', bytes: Buffer.from(text) });
};

describe('LoadServer', () => {
  it('sends the bytes of the value, and closes the connection', async (t) => {
    const served = await serve(t);
    served.answer = value('the value\n');
    assert.deepEqual(await served.ask(), Buffer.from('the value\n'));
    await eventually(() => served.manager.calls.length === 2);
    assert.deepEqual(served.manager.calls, ['store', 'remove']);
    assert.deepEqual(served.log, []);
  });

  it('sends a value of maximum size to a slow reader, whose connection is kept meanwhile', async (t) => {
    const served = await serve(t);
    const bytes = Buffer.alloc(1024 * 1024, 'abc');
    served.answer = () => ({ kind: 'value', bytes: Buffer.from(bytes) });
    const socket = served.connect();
    await new Promise((resolve) => socket.once('readable', resolve));
    await eventually(() => served.manager.stored.size === 1);
    assert.deepEqual(await readToEnd(socket), bytes);
    await eventually(() => served.manager.stored.size === 0);
    assert.deepEqual(served.manager.calls, ['store', 'remove']);
  });

  it('has a connection kept before it identifies the peer', async (t) => {
    let kept: number | undefined;
    const served: Served = await serve(t, PLAIN_WIRE, () => {
      kept = served.manager.stored.size;
      return REQUEST;
    });
    await served.ask();
    assert.equal(kept, 1);
  });

  it('wipes the value once it is sent', async (t) => {
    const served = await serve(t);
    const bytes = Buffer.from('the value');
    served.answer = { kind: 'value', bytes };
    await served.ask();
    assert.deepEqual(bytes, Buffer.alloc(9));
  });

  it('wipes the encoded answer once it is sent', async (t) => {
    let sent: Uint8Array = Buffer.from('nothing yet');
    const served = await serve(t, { ...PLAIN_WIRE, encode: (_id, bytes) => (sent = Uint8Array.from(bytes)) });
    served.answer = value('the value');
    assert.deepEqual(await served.ask(), Buffer.from('the value'));
    await eventually(() => Buffer.from(sent).equals(Buffer.alloc(9)));
  });

  it('refuses with more bytes than systemd accepts, and logs why', async (t) => {
    const served = await serve(t);
    assert.deepEqual(await served.ask(), REFUSAL);
    assert.match(served.log.join(''), /refused a credential reason=not_granted unit=restic\.service credential=token/);
  });

  it('refuses a peer that is not believed or cannot be identified, and logs nothing it sent', async (t) => {
    for (const error of [
      new UntrustedPeerError('the peer is in another unit'),
      new UnknownPeerError('the peer is of another process namespace'),
    ]) {
      const served = await serve(t, PLAIN_WIRE, () => {
        throw error;
      });
      served.answer = value('the value');
      assert.deepEqual(await served.ask(), REFUSAL);
      const line = 'cio-credentiald: warning: a peer that is not systemd was refused a credential reason=';
      assert.deepEqual(served.log, [`${line}${error.message}\n`]);
    }
  });

  it('sends a complete refusal to many peers that are not believed, however late they read, and has few of them kept', async (t) => {
    const served = await serve(t, PLAIN_WIRE, () => {
      throw new UntrustedPeerError('the peer is in another unit');
    });
    const late = Array.from({ length: 120 }, () => served.connect());
    await eventually(() => served.log.length === late.length);
    assert.ok(served.manager.stored.size < 50, `${served.manager.stored.size} are kept`);
    for (const answer of await Promise.all(late.map(readToEnd))) assert.deepEqual(answer, REFUSAL);
    await eventually(() => served.manager.stored.size === 0);
  });

  it('holds a limited number of refusals to peers that are not believed, even if all come at once', async (t) => {
    const served = await serve(t, PLAIN_WIRE, () => {
      throw new UntrustedPeerError('the peer is in another unit');
    });
    const late: net.Socket[] = [];
    for (let batch = 0; batch < 3; batch += 1) {
      late.push(...Array.from({ length: 100 }, () => served.connect()));
      await eventually(() => served.log.length === late.length);
    }
    const answers = await Promise.all(late.map(readToEnd));
    const whole = answers.filter((answer) => Buffer.isBuffer(answer) && answer.equals(REFUSAL));
    assert.equal(whole.length, 256);
  });

  it('refuses if the answer fails by a defect, or would be empty', async (t) => {
    const served = await serve(t);
    served.answer = () => {
      throw new Error('secret-of-the-defect');
    };
    assert.deepEqual(await served.ask(), REFUSAL);
    assert.match(served.log.join(''), /^cio-credentiald: error: an answer failed: internal error class=Error at=/);
    assert.doesNotMatch(served.log.join(''), /secret-of-the-defect/);
    served.answer = { kind: 'value', bytes: new Uint8Array() };
    assert.deepEqual(await served.ask(), REFUSAL);
  });

  it('refuses if the value cannot be encoded for the socket, and wipes it', async (t) => {
    const served = await serve(t, {
      ...PLAIN_WIRE,
      encode: () => {
        throw new RangeError('Array buffer allocation failed');
      },
    });
    const bytes = Buffer.from('the value');
    served.answer = { kind: 'value', bytes };
    assert.deepEqual(await served.ask(), REFUSAL);
    assert.match(served.log.join(''), /an answer failed: internal error class=RangeError at=.*reason=InternalError/s);
    assert.deepEqual(bytes, Buffer.alloc(9));
  });

  it('refuses if identifying the peer fails by a defect', async (t) => {
    const served = await serve(t, PLAIN_WIRE, () => {
      throw new Error('secret-of-the-defect');
    });
    served.answer = value('the value');
    assert.deepEqual(await served.ask(), REFUSAL);
    assert.match(served.log.join(''), /a peer that is not systemd was refused a credential class=Error at=/);
    assert.doesNotMatch(served.log.join(''), /secret-of-the-defect/);
  });

  it('lets a peer wait, kept by the service manager, until the credential exists', async (t) => {
    const served = await serve(t);
    let looks = 0;
    served.answer = () => {
      looks += 1;
      return { kind: 'waits' };
    };
    const reading = served.ask();
    await eventually(() => served.server.waiting === 1);
    assert.equal(served.manager.stored.size, 1);
    served.server.recheck();
    served.server.recheck();
    await eventually(() => looks === 2);
    assert.equal(served.manager.calls.length, 1);
    served.answer = value('now it is there');
    served.server.recheck();
    assert.deepEqual(await reading, Buffer.from('now it is there'));
    await eventually(() => served.manager.stored.size === 0);
    assert.equal(served.server.waiting, 0);
    assert.equal(served.log.length, 1, 'that it waits is said once');
  });

  it('refuses a waiting peer that cannot be kept across a kill, and does not insist on that for an immediate answer', async (t) => {
    const served = await serve(t);
    const { manager } = served;
    manager.isAccepting = false;
    manager.neededFlags.length = 0;
    served.answer = { kind: 'waits' };
    assert.deepEqual(await served.ask(), REFUSAL);
    assert.match(served.log.at(-1) ?? '', /reason=not_kept_by_systemd/);
    assert.equal(manager.neededFlags.indexOf(true), 1);
    manager.neededFlags.length = 0;
    served.answer = value('now');
    assert.deepEqual(await served.ask(), Buffer.from('now'));
    assert.ok(manager.neededFlags.length > 0 && !manager.neededFlags.includes(true));
  });

  it('insists on having a slow reader kept: the rest of its answer would be lost with this process', async (t) => {
    const served = await serve(t);
    const { manager } = served;
    const store = manager.storeDescriptor.bind(manager);
    manager.storeDescriptor = (fd, name, isNeeded) => isNeeded === true && store(fd, name, isNeeded);
    const slow = served.connect();
    await new Promise((resolve) => slow.once('readable', resolve));
    assert.deepEqual([...manager.stored.values()].map(isMarkedBegun), [true]);
    assert.deepEqual(await readToEnd(slow), REFUSAL);
    await eventually(() => manager.stored.size === 0);
  });

  it('does not insist on that for a peer that is not systemd', async (t) => {
    const served = await serve(t, PLAIN_WIRE, () => {
      throw new UntrustedPeerError('it is somebody else');
    });
    const { manager } = served;
    manager.isAccepting = false;
    manager.neededFlags.length = 0;
    assert.deepEqual(await served.ask(), REFUSAL);
    assert.ok(manager.neededFlags.length > 0 && !manager.neededFlags.includes(true));
  });

  it('retries to keep a peer that could not be kept at first, if it waits or reads slowly', async (t) => {
    const served: Served = await serve(t, PLAIN_WIRE, () => {
      served.manager.isAccepting = isAcceptingAtOnce;
      return REQUEST;
    });
    let isAcceptingAtOnce = true;
    served.manager.isAccepting = false;
    served.answer = { kind: 'waits' };
    const waiting = served.ask();
    await eventually(() => served.server.waiting === 1);
    assert.deepEqual([served.manager.calls, served.manager.stored.size], [['store'], 1]);
    const bytes = Buffer.alloc(1024 * 1024, 'abc');
    served.answer = () => ({ kind: 'value', bytes: Buffer.from(bytes) });
    served.server.recheck();
    assert.deepEqual(await waiting, bytes);
    await eventually(() => served.manager.stored.size === 0);
    isAcceptingAtOnce = false;
    served.manager.isAccepting = false;
    served.manager.calls.length = 0;
    beforeWrites(t, () => {
      served.manager.isAccepting = true;
    });
    const slow = served.connect();
    await new Promise((resolve) => slow.once('readable', resolve));
    assert.deepEqual([...served.manager.stored.values()].map(isMarkedBegun), [true]);
    assert.deepEqual(await readToEnd(slow), bytes);
    await eventually(() => served.manager.stored.size === 0);
    assert.deepEqual(served.manager.calls, ['store', 'remove']);
  });

  it('also listens at a path of its own, with mode 0600', async (t) => {
    const file = path.join(temporaryDirectory(t), 'load');
    for (const storesDescriptors of [false, true]) {
      const server = new LoadServer({
        wire: PLAIN_WIRE,
        manager: Object.assign(new FakeServiceManager(), { storesDescriptors }),
        log: createLog(() => undefined, false),
        identify: () => REQUEST,
        answer: value('the value'),
      });
      await server.listen({ path: file });
      t.after(() => server.stop());
      assert.equal(fs.statSync(file).mode & 0o777, 0o600);
      assert.deepEqual(
        await readToEnd(net.connect({ path: file, allowHalfOpen: true }).end()),
        Buffer.from('the value'),
      );
      await server.stop();
      assert.deepEqual(fs.readdirSync(path.dirname(file)), []);
    }
  });

  it('removes no file that it did not make', async (t) => {
    const file = path.join(temporaryDirectory(t), 'load');
    fs.writeFileSync(file, 'somebody needs this');
    const server = new LoadServer({
      wire: PLAIN_WIRE,
      manager: new FakeServiceManager(),
      log: createLog(() => undefined, false),
      identify: () => REQUEST,
      answer: value('the value'),
    });
    await assert.rejects(server.listen({ path: file }), { name: 'ListenError' });
    await server.stop();
    assert.equal(fs.readFileSync(file, 'utf8'), 'somebody needs this');
  });

  it('refuses waiting peers even if its path cannot be removed any more', async (t) => {
    const served = await serve(t, PLAIN_WIRE, undefined, false);
    served.answer = { kind: 'waits' };
    const reading = served.ask();
    await eventually(() => served.server.waiting === 1);
    fs.rmSync(served.file);
    await served.server.stop();
    assert.deepEqual(await reading, REFUSAL);
  });

  it('leaves nothing of its rehearsal, neither with the service manager nor open', async (t) => {
    const file = path.join(temporaryDirectory(t), 'load');
    const manager = new FakeServiceManager();
    const parts = { wire: PLAIN_WIRE, manager, identify: () => REQUEST, answer: value('the value') };
    const server = new LoadServer({ ...parts, log: createLog(() => undefined, false) });
    t.after(() => server.stop());
    const fd = listenAt(file);
    const before = fs.readdirSync('/proc/self/fd').length;
    await server.listen({ fd, name: 'load', isListening: true });
    assert.deepEqual(manager.calls, ['store', 'remove']);
    // The descriptor with which it watches the socket.
    assert.equal(fs.readdirSync('/proc/self/fd').length, before + 1);
  });

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

  it('refuses a waiting peer when it stops, and when the grant is revoked', async (t) => {
    const served = await serve(t);
    served.answer = { kind: 'waits' };
    const first = served.ask();
    await eventually(() => served.server.waiting === 1);
    served.answer = { kind: 'refused', reason: 'not_granted' };
    served.server.recheck();
    assert.deepEqual(await first, REFUSAL);
    served.answer = { kind: 'waits' };
    const second = served.ask();
    await eventually(() => served.server.waiting === 1);
    await served.server.stop();
    assert.deepEqual(await second, REFUSAL);
    assert.equal(served.manager.stored.size, 0);
  });

  it('waits for its last answer to be read to the end when it stops', async (t) => {
    const served = await serve(t);
    const bytes = Buffer.alloc(1024 * 1024, 'abc');
    served.answer = () => ({ kind: 'value', bytes: Buffer.from(bytes) });
    const socket = served.connect();
    await new Promise((resolve) => socket.once('readable', resolve));
    const stopped = served.server.stop();
    assert.deepEqual(await readToEnd(socket), bytes);
    await stopped;
    assert.deepEqual([served.log, served.manager.stored.size], [[], 0]);
  });

  it('waits for all answers when it stops', async (t) => {
    const served = await serve(t);
    const sockets = [served.connect(), served.connect()] as const;
    for (const socket of sockets) await new Promise((resolve) => socket.once('readable', resolve));
    let isStopped = false;
    const stopped = served.server.stop().then(() => (isStopped = true));
    assert.deepEqual(await readToEnd(sockets[0]), REFUSAL);
    await eventually(() => served.manager.stored.size === 1);
    for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    assert.equal(isStopped, false);
    assert.deepEqual(await readToEnd(sockets[1]), REFUSAL);
    await stopped;
    assert.deepEqual(served.manager.stored.size, 0);
  });

  it('stops after a time limit, logs that, and cuts no answer off', async (t) => {
    const served = await serve(t);
    const bytes = Buffer.alloc(1024 * 1024, 'abc');
    served.answer = () => ({ kind: 'value', bytes: Buffer.from(bytes) });
    const socket = served.connect();
    await new Promise((resolve) => socket.once('readable', resolve));
    t.mock.timers.enable({ apis: ['setInterval'] });
    let isStopped = false;
    const stopped = served.server.stop().then(() => (isStopped = true));
    t.mock.timers.tick(STOP_TIME_MAX_MS - 1);
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(isStopped, false);
    t.mock.timers.tick(1);
    await stopped;
    assert.deepEqual(served.log, ['cio-credentiald: error: a unit did not read its answer to the end units=1\n']);
    assert.equal(served.manager.stored.size, 1);
    assert.deepEqual(await readToEnd(socket), bytes);
  });

  it('forgets a peer that is gone, and no other', async (t) => {
    const served = await serve(t);
    served.answer = { kind: 'waits' };
    const gone = served.connect();
    const waiting = served.ask();
    await eventually(() => served.server.waiting === 2);
    gone.destroy();
    await eventually(() => served.server.waiting === 1);
    assert.equal(served.manager.stored.size, 1);
    served.answer = value('the value');
    served.server.recheck();
    assert.deepEqual(await waiting, Buffer.from('the value'));
    await eventually(() => served.manager.stored.size === 0);
  });

  it('lets no more peers wait than can be kept, and answers others at once', async (t) => {
    const served = await serve(t);
    served.answer = { kind: 'waits' };
    const waiting = Array.from({ length: WAITING_MAX }, () => served.ask());
    await eventually(() => served.server.waiting === WAITING_MAX);
    assert.deepEqual(await served.ask(), REFUSAL);
    assert.match(served.log.at(-1) ?? '', /reason=Busy/);
    served.answer = value('v');
    assert.deepEqual(await served.ask(), Buffer.from('v'));
    served.server.recheck();
    assert.deepEqual(await Promise.all(waiting), Array(WAITING_MAX).fill(Buffer.from('v')));
  });

  it('has a place with the service manager for a waiting peer, however many were answered just before', async (t) => {
    const served = await serve(t);
    let answered = 0;
    let keptMost = 0;
    served.answer = () => {
      keptMost = Math.max(keptMost, served.manager.stored.size);
      answered += 1;
      return answered <= 100 ? { kind: 'value', bytes: Buffer.from('the value') } : { kind: 'waits' };
    };
    // All are connected by the time the daemon looks.
    for (let index = 0; index <= 100; index += 1) served.connect();
    await eventually(() => served.server.waiting === 1);
    assert.equal(keptMost, 1);
    assert.equal(served.manager.stored.size, 1);
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

  it('adopts a peer that waited at another process, and refuses one whose answer had begun there', async (t) => {
    const before = await serve(t);
    const after = await serve(t);
    before.answer = { kind: 'waits' };
    after.answer = value('from the second');
    const reading = [before.ask(), before.ask()];
    await eventually(() => before.server.waiting === 2);
    const copies = [...before.manager.stored].map(([name, fd]) => ({ name, fd: duplicate(fd), isListening: false }));
    const [first, second] = copies;
    assert.ok(first !== undefined && second !== undefined);
    assert.ok(after.server.owns(first));
    assert.equal((await serve(t, SEALED_WIRE)).server.owns(first), false);
    for (const { name, fd } of [first, second]) after.manager.stored.set(name, fd);
    after.server.adopt(first);
    // As if the other process was killed in the middle of this answer.
    markBegun(second.fd);
    after.server.adopt(second);
    const answers = await Promise.all(reading);
    assert.equal(answers.filter((answer) => answer.length === REFUSAL.length).length, 1);
    assert.ok(answers.some((answer) => answer.toString() === 'from the second'));
    assert.match(after.log.join(''), /reason=interrupted/);
    await eventually(() => after.manager.stored.size === 0);
    assert.deepEqual(after.manager.calls, ['remove', 'remove'], 'nobody keeps it anew');
  });

  it('pads encrypted credentials beyond the size of a plain one, and refuses with more bytes still', async (t) => {
    const served = await serve(t, SEALED_WIRE);
    assert.deepEqual(await served.ask(), SEALED_REFUSAL);
    served.answer = value('the value');
    const text = (await served.ask()).toString();
    assert.equal(text.length, 1024 * 1024 + 1, 'more than a plain credential may have');
    assert.match(text, /^[A-Za-z0-9+/]+=*\n+$/);
    assert.ok(Buffer.from(text, 'base64').length > 48 + 16 + 'the value'.length);
    served.answer = () => ({ kind: 'value', bytes: Buffer.alloc(1024 * 1024, 'x') });
    assert.deepEqual(await served.ask(), SEALED_REFUSAL);
    assert.match(served.log.at(-1) ?? '', /reason=TooLarge/);
  });
});

type LimitCall = (resource: number, limits: BigUint64Array) => number;

const libc = koffi.load('libc.so.6');
const socket = libc.func('int socket(int, int, int)') as unknown as (...numbers: number[]) => number;
const bind = libc.func('int bind(int, uint8_t *, uint32_t)') as unknown as (
  fd: number,
  address: Buffer,
  bytes: number,
) => number;
const getLimit = libc.func('int getrlimit(int, uint64_t *)') as unknown as LimitCall;
const setLimit = libc.func('int setrlimit(int, uint64_t *)') as unknown as LimitCall;
const listen = libc.func('int listen(int, int)') as unknown as (fd: number, backlog: number) => number;

/** Makes a descriptor that listens at a path (unix(7)). */
function listenAt(file: string): number {
  const fd = socket(1, 1, 0);
  const address = Buffer.concat([Buffer.from([1, 0]), Buffer.from(file), Buffer.alloc(1)]);
  assert.equal(bind(fd, address, address.length), 0);
  assert.equal(listen(fd, 128), 0);
  return fd;
}

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

/** Returns another descriptor of the same connection, as passed on by systemd (dup(2)). */
const duplicate = libc.func('int dup(int)') as unknown as (fd: number) => number;

const SO_PRIORITY = 12;

/** Marks a kept connection, as a process does before it begins to answer. */
function markBegun(fd: number): void {
  setSocketOption(fd, SO_PRIORITY, 1);
}

function isMarkedBegun(fd: number): boolean {
  return getSocketOption(fd, SO_PRIORITY, 4).readInt32LE(0) === 1;
}

/**
 * Calls `work` before each write to a descriptor, in which it may throw, and `onFull` after a write that the kernel
 * refused.
 */
function beforeWrites(t: TestContext, work: (fd: number) => void, onFull: () => void = () => undefined): void {
  const { writeSync } = fs;
  const mocked = t.mock.method(fs, 'writeSync', (fd: number, bytes: Uint8Array, offset: number) => {
    work(fd);
    try {
      return writeSync(fd, bytes, offset);
    } catch (error) {
      onFull();
      throw error;
    }
  });
  syncBuiltinESMExports();
  t.after(() => {
    mocked.mock.restore();
    syncBuiltinESMExports();
  });
}
