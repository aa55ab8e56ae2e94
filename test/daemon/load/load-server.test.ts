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
import { NotBelievedError } from '../../../daemon/load/requester.ts';
import { PLAIN_WIRE, SEALED_WIRE } from '../../../daemon/load/wire.ts';
import type { LoadWire } from '../../../daemon/load/wire.ts';
import { getSocketOption, setSocketOption } from '../../../daemon/kernel/libc.ts';
import { createLog } from '../../../daemon/log.ts';
import { eventually } from '../../support/eventually.ts';
import { runSuccessfully } from '../../support/process.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

/** How long a server that stops waits for who reads. */
const STOP_TIME_MAX_MS = 20_000;
const REFUSAL = Buffer.alloc(1024 * 1024 + 1);
const SEALED_REFUSAL = Buffer.alloc(1024 * 1024 + 128 * 1024 + 1);
const REQUEST: LoadRequest = { unit: 'restic.service', id: 'token' };

/** A service manager that keeps what it is given, as systemd does, and notes what it is told. */
class Keeper implements ServiceManager {
  readonly keepsDescriptors: boolean = true;
  readonly kept: Map<string, number> = new Map();
  readonly told: string[] = [];
  /** Whether it was needed, each time. */
  readonly asked: boolean[] = [];
  isWilling = true;
  ready(): void {}
  status(): void {}
  stopping(): void {}
  alive(): void {}
  keep(fd: number, name: string, isNeeded = false): boolean {
    this.asked.push(isNeeded);
    if (!this.isWilling) return false;
    this.told.push('keep');
    this.kept.set(name, fd);
    return true;
  }
  release(name: string): void {
    this.told.push('release');
    assert.ok(this.kept.delete(name), 'it was kept');
  }
}

/** A served socket, and what the test has it answer. */
interface Served {
  readonly server: LoadServer;
  readonly keeper: Keeper;
  readonly log: string[];
  answer: LoadAnswer | (() => LoadAnswer);
  /** What a client reads to the end; the error's code where the connection breaks. */
  ask(): Promise<Buffer | string>;
  connect(): net.Socket;
  readonly file: string;
}

/** Reads an answer to its end, and prints how long it was. */
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
  const keeper = new Keeper();
  const log: string[] = [];
  const file = path.join(temporaryDirectory(t), 'load');
  const server = new LoadServer({
    wire,
    manager: keeper,
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
    keeper,
    log,
    answer: { kind: 'refused', reason: 'not_granted' },
    connect,
    file,
    ask: () => readToEnd(connect()),
  };
  // As systemd passes it on: it listens already.
  const handedOver = (): InheritedSocket => ({ fd: listenAt(file), name: 'load', isListening: true });
  await server.listen(isHandedOver ? handedOver() : { path: file });
  // What it rehearsed.
  keeper.told.length = 0;
  t.after(async () => {
    // A test that failed reads no more; nobody waits for that.
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
  // It is wiped after use, so each answer has its own.
  return () => ({ kind: 'value', bytes: Buffer.from(text) });
};

describe('LoadServer', () => {
  it('answers with the bytes of the value, and ends', async (t) => {
    const served = await serve(t);
    served.answer = value('the value\n');
    assert.deepEqual(await served.ask(), Buffer.from('the value\n'));
    await eventually(() => served.keeper.told.length === 2);
    assert.deepEqual(served.keeper.told, ['keep', 'release']);
    assert.deepEqual(served.log, []);
  });

  it('answers a value of full size to a slow reader, which is kept while it is under way', async (t) => {
    const served = await serve(t);
    const bytes = Buffer.alloc(1024 * 1024, 'abc');
    served.answer = () => ({ kind: 'value', bytes: Buffer.from(bytes) });
    const socket = served.connect();
    await new Promise((resolve) => socket.once('readable', resolve));
    await eventually(() => served.keeper.kept.size === 1);
    assert.deepEqual(await readToEnd(socket), bytes);
    await eventually(() => served.keeper.kept.size === 0);
    assert.deepEqual(served.keeper.told, ['keep', 'release']);
  });

  it('has it kept before it looks who it is', async (t) => {
    let kept: number | undefined;
    const served: Served = await serve(t, PLAIN_WIRE, () => {
      kept = served.keeper.kept.size;
      return REQUEST;
    });
    await served.ask();
    assert.equal(kept, 1);
  });

  it('wipes the value when it was sent', async (t) => {
    const served = await serve(t);
    const bytes = Buffer.from('the value');
    served.answer = { kind: 'value', bytes };
    await served.ask();
    assert.deepEqual(bytes, Buffer.alloc(9));
  });

  it('wipes what it sent, when it was sent', async (t) => {
    let sent: Uint8Array = Buffer.from('nothing yet');
    const served = await serve(t, { ...PLAIN_WIRE, encode: (_id, bytes) => (sent = Uint8Array.from(bytes)) });
    served.answer = value('the value');
    assert.deepEqual(await served.ask(), Buffer.from('the value'));
    await eventually(() => Buffer.from(sent).equals(Buffer.alloc(9)));
  });

  it('refuses with more than systemd takes, and says why in the log', async (t) => {
    const served = await serve(t);
    assert.deepEqual(await served.ask(), REFUSAL);
    assert.match(served.log.join(''), /refused a credential reason=not_granted unit=restic\.service credential=token/);
  });

  it('refuses who is not believed or not known, and repeats nothing of his', async (t) => {
    for (const error of [
      new NotBelievedError('the peer is in another unit'),
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

  it('refuses many who are not believed to the last byte, however late they read, and keeps few of them', async (t) => {
    const served = await serve(t, PLAIN_WIRE, () => {
      throw new NotBelievedError('the peer is in another unit');
    });
    const late = Array.from({ length: 120 }, () => served.connect());
    await eventually(() => served.log.length === late.length);
    assert.ok(served.keeper.kept.size < 50, `${served.keeper.kept.size} are kept`);
    for (const answer of await Promise.all(late.map(readToEnd))) assert.deepEqual(answer, REFUSAL);
    await eventually(() => served.keeper.kept.size === 0);
  });

  it('holds no more than so many refusals of who are not believed, also where all come at once', async (t) => {
    const served = await serve(t, PLAIN_WIRE, () => {
      throw new NotBelievedError('the peer is in another unit');
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

  it('refuses where the answer fails by a defect, or would be empty', async (t) => {
    const served = await serve(t);
    served.answer = () => {
      throw new Error('secret-of-the-defect');
    };
    assert.deepEqual(await served.ask(), REFUSAL);
    assert.match(served.log.join(''), /^cio-credentiald: error: an answer failed by a defect class=Error at=/);
    assert.doesNotMatch(served.log.join(''), /secret-of-the-defect/);
    served.answer = { kind: 'value', bytes: new Uint8Array() };
    assert.deepEqual(await served.ask(), REFUSAL);
  });

  it('refuses where the value cannot be put in the form of the socket, and wipes it', async (t) => {
    const served = await serve(t, {
      ...PLAIN_WIRE,
      encode: () => {
        throw new RangeError('Array buffer allocation failed');
      },
    });
    const bytes = Buffer.from('the value');
    served.answer = { kind: 'value', bytes };
    assert.deepEqual(await served.ask(), REFUSAL);
    assert.match(served.log.join(''), /an answer failed by a defect class=RangeError at=.*reason=InternalError/s);
    assert.deepEqual(bytes, Buffer.alloc(9));
  });

  it('refuses where it fails by a defect to look who it is', async (t) => {
    const served = await serve(t, PLAIN_WIRE, () => {
      throw new Error('secret-of-the-defect');
    });
    served.answer = value('the value');
    assert.deepEqual(await served.ask(), REFUSAL);
    assert.match(served.log.join(''), /a peer that is not systemd was refused a credential class=Error at=/);
    assert.doesNotMatch(served.log.join(''), /secret-of-the-defect/);
  });

  it('has who waits wait, kept by the service manager, until it is there', async (t) => {
    const served = await serve(t);
    let looks = 0;
    served.answer = () => {
      looks += 1;
      return { kind: 'waits' };
    };
    const reading = served.ask();
    await eventually(() => served.server.waiting === 1);
    assert.equal(served.keeper.kept.size, 1);
    served.server.recheck();
    served.server.recheck();
    await eventually(() => looks === 2);
    assert.equal(served.keeper.told.length, 1);
    served.answer = value('now it is there');
    served.server.recheck();
    assert.deepEqual(await reading, Buffer.from('now it is there'));
    await eventually(() => served.keeper.kept.size === 0);
    assert.equal(served.server.waiting, 0);
    assert.equal(served.log.length, 1, 'that it waits is said once');
  });

  it('refuses who would wait where nobody keeps him over a kill, and insists on that for nobody who has his answer at once', async (t) => {
    const served = await serve(t);
    const { keeper } = served;
    keeper.isWilling = false;
    keeper.asked.length = 0;
    served.answer = { kind: 'waits' };
    assert.deepEqual(await served.ask(), REFUSAL);
    assert.match(served.log.at(-1) ?? '', /reason=nobody_keeps_it/);
    assert.equal(keeper.asked.indexOf(true), 1);
    keeper.asked.length = 0;
    served.answer = value('now');
    assert.deepEqual(await served.ask(), Buffer.from('now'));
    assert.ok(keeper.asked.length > 0 && !keeper.asked.includes(true));
  });

  it('insists on having a peer kept who reads slowly: the rest of his answer would go with this process', async (t) => {
    const served = await serve(t);
    const { keeper } = served;
    const keep = keeper.keep.bind(keeper);
    keeper.keep = (fd, name, isNeeded) => isNeeded === true && keep(fd, name, isNeeded);
    const slow = served.connect();
    await new Promise((resolve) => slow.once('readable', resolve));
    assert.deepEqual([...keeper.kept.values()].map(isMarkedBegun), [true]);
    assert.deepEqual(await readToEnd(slow), REFUSAL);
    await eventually(() => keeper.kept.size === 0);
  });

  it('insists on that for no peer that is not systemd', async (t) => {
    const served = await serve(t, PLAIN_WIRE, () => {
      throw new NotBelievedError('it is somebody else');
    });
    const { keeper } = served;
    keeper.isWilling = false;
    keeper.asked.length = 0;
    assert.deepEqual(await served.ask(), REFUSAL);
    assert.ok(keeper.asked.length > 0 && !keeper.asked.includes(true));
  });

  it('has kept in the end who could not be kept when he came: one who waits, and one who reads slowly', async (t) => {
    const served: Served = await serve(t, PLAIN_WIRE, () => {
      served.keeper.isWilling = isWillingAtOnce;
      return REQUEST;
    });
    let isWillingAtOnce = true;
    served.keeper.isWilling = false;
    served.answer = { kind: 'waits' };
    const waiting = served.ask();
    await eventually(() => served.server.waiting === 1);
    assert.deepEqual([served.keeper.told, served.keeper.kept.size], [['keep'], 1]);
    const bytes = Buffer.alloc(1024 * 1024, 'abc');
    served.answer = () => ({ kind: 'value', bytes: Buffer.from(bytes) });
    served.server.recheck();
    assert.deepEqual(await waiting, bytes);
    await eventually(() => served.keeper.kept.size === 0);
    isWillingAtOnce = false;
    served.keeper.isWilling = false;
    served.keeper.told.length = 0;
    beforeWrites(t, () => {
      served.keeper.isWilling = true;
    });
    const slow = served.connect();
    await new Promise((resolve) => slow.once('readable', resolve));
    assert.deepEqual([...served.keeper.kept.values()].map(isMarkedBegun), [true]);
    assert.deepEqual(await readToEnd(slow), bytes);
    await eventually(() => served.keeper.kept.size === 0);
    assert.deepEqual(served.keeper.told, ['keep', 'release']);
  });

  it('answers at a path of its own, too, which is for its own user', async (t) => {
    const file = path.join(temporaryDirectory(t), 'load');
    for (const keepsDescriptors of [false, true]) {
      const server = new LoadServer({
        wire: PLAIN_WIRE,
        manager: Object.assign(new Keeper(), { keepsDescriptors }),
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

  it('takes away no file that it did not make', async (t) => {
    const file = path.join(temporaryDirectory(t), 'load');
    fs.writeFileSync(file, 'somebody needs this');
    const server = new LoadServer({
      wire: PLAIN_WIRE,
      manager: new Keeper(),
      log: createLog(() => undefined, false),
      identify: () => REQUEST,
      answer: value('the value'),
    });
    await assert.rejects(server.listen({ path: file }), { name: 'ListenError' });
    await server.stop();
    assert.equal(fs.readFileSync(file, 'utf8'), 'somebody needs this');
  });

  it('refuses who waits also where its path cannot be removed any more', async (t) => {
    const served = await serve(t, PLAIN_WIRE, undefined, false);
    served.answer = { kind: 'waits' };
    const reading = served.ask();
    await eventually(() => served.server.waiting === 1);
    fs.rmSync(served.file);
    await served.server.stop();
    assert.deepEqual(await reading, REFUSAL);
  });

  it('leaves nothing of what it rehearses, with the service manager or open', async (t) => {
    const file = path.join(temporaryDirectory(t), 'load');
    const keeper = new Keeper();
    const parts = { wire: PLAIN_WIRE, manager: keeper, identify: () => REQUEST, answer: value('the value') };
    const server = new LoadServer({ ...parts, log: createLog(() => undefined, false) });
    t.after(() => server.stop());
    const fd = listenAt(file);
    const before = fs.readdirSync('/proc/self/fd').length;
    await server.listen({ fd, name: 'load', isListening: true });
    assert.deepEqual(keeper.told, ['keep', 'release']);
    // What it watches the socket by.
    assert.equal(fs.readdirSync('/proc/self/fd').length, before + 1);
  });

  it('writes an answer that is longer than the socket holds without going back to the event loop, to who reads', async (t) => {
    const served = await serve(t);
    const { keeper } = served;
    served.answer = () => ({ kind: 'value', bytes: Buffer.alloc(1024 * 1024, 'abc') });
    let isFull = false;
    const keptBehindFull: number[] = [];
    beforeWrites(
      t,
      () => {
        if (isFull) keptBehindFull.push(keeper.kept.size);
      },
      () => {
        isFull = true;
        // Kept from then on, though it could not be at first.
        keeper.isWilling = true;
        setImmediate(() => (isFull = false));
      },
    );
    // A reader who gets no processor for a tenth of a second is a slow one: he is asked to read once more.
    for (let tries = 0; tries < 20 && keptBehindFull.length === 0; tries += 1) {
      keeper.isWilling = false;
      keeper.told.length = 0;
      assert.equal(await runSuccessfully([process.execPath, '-e', READER, served.file]), `${1024 * 1024}`);
    }
    assert.ok(keptBehindFull.length > 0, 'it wrote on in the same turn');
    assert.ok(keptBehindFull.every((kept) => kept === 1));
    await eventually(() => keeper.kept.size === 0);
    assert.deepEqual(keeper.told, ['keep', 'release']);
  });

  it('marks an answer to who is kept as begun before the first byte of it', async (t) => {
    const served = await serve(t);
    served.answer = value('the value');
    const marked: boolean[] = [];
    beforeWrites(t, (fd) => void marked.push(isMarkedBegun(fd)));
    assert.deepEqual(await served.ask(), Buffer.from('the value'));
    assert.deepEqual(marked, [true]);
  });

  it('has kept before the first byte of his answer who could not be kept when he came', async (t) => {
    const served: Served = await serve(t, PLAIN_WIRE, () => {
      served.keeper.isWilling = true;
      return REQUEST;
    });
    served.keeper.isWilling = false;
    served.answer = value('the value');
    const marked: boolean[] = [];
    beforeWrites(t, (fd) => void marked.push(isMarkedBegun(fd)));
    assert.deepEqual(await served.ask(), Buffer.from('the value'));
    assert.deepEqual(marked, [true]);
    await eventually(() => served.keeper.told.length === 2);
    assert.deepEqual(served.keeper.told, ['keep', 'release']);
  });

  it('goes on where a peer leaves in the middle of his answer, and gives back his place', async (t) => {
    const served = await serve(t);
    served.answer = () => ({ kind: 'value', bytes: Buffer.alloc(1024 * 1024, 'abc') });
    const peer = served.connect();
    await new Promise((resolve) => peer.once('readable', resolve));
    await eventually(() => served.keeper.kept.size === 1);
    peer.destroy();
    await eventually(() => served.keeper.kept.size === 0);
    served.answer = value('the value');
    assert.deepEqual(await served.ask(), Buffer.from('the value'));
  });

  it('refuses who waits when it stops, and when it is not his any more', async (t) => {
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
    assert.equal(served.keeper.kept.size, 0);
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
    assert.deepEqual([served.log, served.keeper.kept.size], [[], 0]);
  });

  it('waits for all of them', async (t) => {
    const served = await serve(t);
    const sockets = [served.connect(), served.connect()] as const;
    for (const socket of sockets) await new Promise((resolve) => socket.once('readable', resolve));
    let isStopped = false;
    const stopped = served.server.stop().then(() => (isStopped = true));
    assert.deepEqual(await readToEnd(sockets[0]), REFUSAL);
    await eventually(() => served.keeper.kept.size === 1);
    for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    assert.equal(isStopped, false);
    assert.deepEqual(await readToEnd(sockets[1]), REFUSAL);
    await stopped;
    assert.deepEqual(served.keeper.kept.size, 0);
  });

  it('waits no longer than so long for that, says so, and cuts nothing off', async (t) => {
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
    assert.equal(served.keeper.kept.size, 1);
    assert.deepEqual(await readToEnd(socket), bytes);
  });

  it('forgets who is gone, and nobody else', async (t) => {
    const served = await serve(t);
    served.answer = { kind: 'waits' };
    const gone = served.connect();
    const waiting = served.ask();
    await eventually(() => served.server.waiting === 2);
    gone.destroy();
    await eventually(() => served.server.waiting === 1);
    assert.equal(served.keeper.kept.size, 1);
    served.answer = value('the value');
    served.server.recheck();
    assert.deepEqual(await waiting, Buffer.from('the value'));
    await eventually(() => served.keeper.kept.size === 0);
  });

  it('lets no more wait than can be kept, and answers whom it can answer', async (t) => {
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

  it('has a place with the service manager for who must wait, however many were answered just before', async (t) => {
    const served = await serve(t);
    let answered = 0;
    let keptMost = 0;
    served.answer = () => {
      keptMost = Math.max(keptMost, served.keeper.kept.size);
      answered += 1;
      return answered <= 100 ? { kind: 'value', bytes: Buffer.from('the value') } : { kind: 'waits' };
    };
    // All are connected when the daemon looks.
    for (let index = 0; index <= 100; index += 1) served.connect();
    await eventually(() => served.server.waiting === 1);
    assert.equal(keptMost, 1);
    assert.equal(served.keeper.kept.size, 1);
  });

  it('goes on with an answer that the kernel once has no memory for: an end without it would be a secret', async (t) => {
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
    it(`answers whoever waited at ${what} to be accepted while there were no descriptors`, async (t) => {
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
      // The client has its descriptor before there is none left.
      const client = served.connect();
      takeAll();
      // Whatever the server gives back meanwhile, for it to watch by, is taken by somebody else.
      taking = setInterval(takeAll, 1);
      await new Promise((resolve) => setTimeout(resolve, 300));
      giveBack();
      assert.deepEqual(await readToEnd(client), Buffer.from('the value'));
      assert.deepEqual(served.log, [
        'cio-credentiald: error: a unit waits to be accepted reason=too many open files\n',
      ]);
    });
  }

  it('takes over who waited at another process, and refuses whose answer had begun there', async (t) => {
    const before = await serve(t);
    const after = await serve(t);
    before.answer = { kind: 'waits' };
    after.answer = value('from the second');
    const reading = [before.ask(), before.ask()];
    await eventually(() => before.server.waiting === 2);
    const copies = [...before.keeper.kept].map(([name, fd]) => ({ name, fd: duplicate(fd), isListening: false }));
    const [first, second] = copies;
    assert.ok(first !== undefined && second !== undefined);
    assert.ok(after.server.owns(first));
    assert.equal((await serve(t, SEALED_WIRE)).server.owns(first), false);
    for (const { name, fd } of [first, second]) after.keeper.kept.set(name, fd);
    after.server.adopt(first);
    // The other one was killed in the middle of its answer.
    markBegun(second.fd);
    after.server.adopt(second);
    const answers = await Promise.all(reading);
    assert.equal(answers.filter((answer) => answer.length === REFUSAL.length).length, 1);
    assert.ok(answers.some((answer) => answer.toString() === 'from the second'));
    assert.match(after.log.join(''), /reason=interrupted/);
    await eventually(() => after.keeper.kept.size === 0);
    assert.deepEqual(after.keeper.told, ['release', 'release'], 'nobody keeps it anew');
  });

  it('answers encrypted credentials with what no plain one can be, and refuses with more', async (t) => {
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

/** A descriptor that listens on a path (unix(7)). */
function listenAt(file: string): number {
  const fd = socket(1, 1, 0);
  const address = Buffer.concat([Buffer.from([1, 0]), Buffer.from(file), Buffer.alloc(1)]);
  assert.equal(bind(fd, address, address.length), 0);
  assert.equal(listen(fd, 128), 0);
  return fd;
}

/** How many descriptors this process may have from now on, without a process that would take some (setrlimit(2)). @returns how many before */
function limitDescriptors(count: number): number {
  const RLIMIT_NOFILE = 7;
  const limits = new BigUint64Array(2);
  assert.equal(getLimit(RLIMIT_NOFILE, limits), 0);
  const before = Number(limits[0]);
  limits[0] = BigInt(count);
  assert.equal(setLimit(RLIMIT_NOFILE, limits), 0);
  return before;
}

/** Another descriptor of the same connection, as systemd passes it on (dup(2)). */
const duplicate = libc.func('int dup(int)') as unknown as (fd: number) => number;

const SO_PRIORITY = 12;

/** As a process does before it begins to answer a connection that is kept. */
function markBegun(fd: number): void {
  setSocketOption(fd, SO_PRIORITY, 1);
}

function isMarkedBegun(fd: number): boolean {
  return getSocketOption(fd, SO_PRIORITY, 4).readInt32LE(0) === 1;
}

/** Has something done before each write to a descriptor, in which it may fail, and after one that the kernel did not take. */
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
