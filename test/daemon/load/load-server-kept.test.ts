import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { WAITING_MAX } from '../../../daemon/load/load-server.ts';
import { UntrustedPeerError } from '../../../daemon/load/authenticate-request.ts';
import { PLAIN_WIRE, SEALED_WIRE } from '../../../daemon/load/wire.ts';
import { duplicate } from '../../../daemon/kernel/libc.ts';
import { eventually } from '../../support/eventually.ts';
import { REFUSAL, REQUEST, beforeWrites, isMarkedBegun, markBegun, readToEnd, serve, value } from './served-socket.ts';
import type { Served } from './served-socket.ts';

describe('LoadServer', () => {
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
});
