import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import type { Socket } from 'node:net';
import { setImmediate as nextTurn, setTimeout as pause } from 'node:timers/promises';
import { describe, it } from 'node:test';
import type { Answer } from '../../../daemon/dispatch.ts';
import { UnknownPeerError } from '../../../daemon/kernel/peer.ts';
import { REPEAT_INTERVAL_MS } from '../../../daemon/rate-limited-log.ts';
import {
  CONNECTIONS_MAX,
  HELD_BYTES_PER_USER_MAX,
  MESSAGE_TIME_MAX_MS,
  SWEEP_INTERVAL_MS,
} from '../../../daemon/socket/limits.ts';
import { TURN_MS } from '../../../daemon/socket/call-scheduler.ts';
import { MESSAGE_BYTES_MAX, VALUE_BYTES_MAX } from '../../../src/limits.ts';
import { eventually } from '../../support/eventually.ts';
import { withIdentity } from '../../support/identity.ts';
import { root, skipUnless } from '../../support/requirements.ts';
import type { Scope } from '../../support/scope.ts';
import type { Reply } from '../../support/varlink.ts';
import { RawVarlink } from '../../support/varlink.ts';
import { ALICE, BOB, startCore } from '../core.ts';
import { ManualDispatch, echo } from './pair.ts';
import { descriptors, identifyPeer, startServer } from './test-server.ts';

const GET = 'io.cio.Credentials.Get';
const CREATE = 'io.cio.Credentials.Create';
const BUSY = { error: 'io.cio.Credentials.Busy', parameters: {} };

/** How long a call blocks the event loop. */
const CALL_MS = 1;

const alice = { uid: ALICE.uid, gid: ALICE.uid };
const bob = { uid: BOB.uid, gid: BOB.uid };
const skip = skipUnless(root);

function parametersOf(reply: Reply | undefined): object {
  return reply?.parameters ?? assert.fail(JSON.stringify(reply));
}

/** Opens connections as Alice, all at once, because changing the identity takes longer than connecting. */
function connectMany(scope: Scope, path: string, count: number): Promise<RawVarlink[]> {
  const connectAll = (): Promise<RawVarlink>[] => Array.from({ length: count }, () => RawVarlink.connect(scope, path));
  return Promise.all(withIdentity(alice, connectAll));
}

/** Tells for each connection whether the server still answers on it. */
async function answering(clients: readonly RawVarlink[]): Promise<boolean[]> {
  for (const client of clients) client.send({ ping: 1 });
  const replies = await Promise.all(clients.map((client) => client.receive()));
  return replies.map((reply) => reply?.parameters !== undefined && reply.error === undefined);
}

describe('VarlinkServer', () => {
  it('serves peers under the identity that the kernel reports', { skip }, async (t) => {
    const { path } = await startServer(t, (caller) => ({ parameters: { uid: caller.uid, space: caller.space } }));
    for (const [identity, space] of [
      [undefined, 'system'],
      [alice, 'uid:3001'],
      [bob, 'uid:3002'],
    ] as const) {
      const client = await RawVarlink.connect(t, path, identity);
      client.send({});
      assert.deepEqual(await client.receive(), { parameters: { uid: identity?.uid ?? 0, space } });
    }
  });

  it('refuses a peer that the kernel does not identify, logs that, and serves others', async (t) => {
    let isKnown = false;
    const begun: unknown[] = [];
    const { path, log } = await startServer(
      t,
      (caller, message) => {
        begun.push(message);
        return echo(caller, message);
      },
      (socket) => {
        if (isKnown) return identifyPeer(socket);
        throw new Error('a secret of the peer');
      },
    );
    const refused = await RawVarlink.connect(t, path);
    refused.send({ index: 0 });
    assert.equal(await refused.receive(), undefined);
    isKnown = true;
    const client = await RawVarlink.connect(t, path);
    client.send({ index: 1 });
    assert.deepEqual(await client.receive(), { parameters: { index: 1 } });
    assert.deepEqual(begun, [{ index: 1 }]);
    assert.equal(log.length, 1);
    assert.match(log[0] ?? '', /a connection was refused: the peer cannot be identified class=Error/);
    assert.ok(!log.join('').includes('secret'));
  });

  it('logs periodically how many it refused, however many they are', async (t) => {
    // Before the server is stopped, which takes real time.
    t.after(() => t.mock.reset());
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const { path, log } = await startServer(t, echo, () => {
      throw new UnknownPeerError('the peer has more than 4096 groups');
    });
    const line = 'a connection was refused: the peer cannot be identified reason=the peer has more than 4096 groups';
    for (let count = 0; count < 20; count += 1) {
      const client = await RawVarlink.connect(t, path);
      assert.equal(await client.receive(), undefined);
    }
    assert.deepEqual(log, [`cio-credentiald: warning: ${line}\n`]);
    t.mock.timers.tick(REPEAT_INTERVAL_MS);
    assert.deepEqual(log.slice(1), [`cio-credentiald: warning: ${line} times=19\n`]);
  });

  it('does not count the time in which its own process was suspended against a peer', async (t) => {
    const { path } = await startServer(t, echo);
    const client = await RawVarlink.connect(t, path);
    const [begin, end] = ['{"ping"', ':1}\0'];
    client.send(Buffer.from(begin));
    await pause(SWEEP_INTERVAL_MS);
    // From here on, timers run before received data, as in a process that resumes.
    await nextTurn();
    const clock = performance.now.bind(performance);
    t.mock.method(performance, 'now', () => clock() + 2 * MESSAGE_TIME_MAX_MS);
    client.send(Buffer.from(end));
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2 * SWEEP_INTERVAL_MS);
    assert.deepEqual(await client.receive(), { parameters: { ping: 1 } });
  });

  it('logs a defect of one connection, and serves the others', async (t) => {
    const { path, log } = await startServer(t, (caller, message) => {
      if ((message as { fail?: unknown }).fail !== undefined) throw new RangeError('a secret value');
      return echo(caller, message);
    });
    const clients = [await RawVarlink.connect(t, path), await RawVarlink.connect(t, path)] as const;
    clients[0].send({ fail: 1 });
    assert.equal(await clients[0].receive(), undefined);
    assert.deepEqual(await answering(clients.slice(1)), [true]);
    assert.match(
      log.join(''),
      /^cio-credentiald: error: a connection failed: internal error class=RangeError at=.*\n$/,
    );
    assert.ok(!log.join('').includes('secret value'));
  });
});

describe('VarlinkServer: group commit', () => {
  it('stores the pipelined Creates of several connections in fewer transactions than calls, in order', async (t) => {
    const core = await startCore(t);
    const { path } = await startServer(t, core.dispatch);
    const clients = await Promise.all(Array.from({ length: 4 }, () => RawVarlink.connect(t, path)));
    const before = core.store.commits;
    const count = 50;
    const create = (name: string): object => ({ method: CREATE, parameters: { credentials: [{ name, value: name }] } });
    for (const [client, connection] of clients.entries()) {
      connection.send(
        Array.from({ length: count }, (_, index) => `${JSON.stringify(create(`n${client}-${index}`))}\0`).join(''),
      );
    }
    const generations: number[] = [];
    for (const [client, connection] of clients.entries()) {
      let last = 0;
      for (let index = 0; index < count; index += 1) {
        const { generation, saved } = parametersOf(await connection.receive()) as {
          generation: number;
          saved: object[];
        };
        assert.deepEqual(saved, [{ name: `n${client}-${index}`, version: 1, created: true }]);
        assert.ok(generation > last, 'in the order of the connection');
        last = generation;
        generations.push(generation);
      }
    }
    assert.deepEqual(
      generations.toSorted((a, b) => a - b),
      Array.from({ length: generations.length }, (_, index) => index + 1),
    );
    const commits = core.store.commits - before;
    assert.ok(commits <= generations.length / 10, `${commits} transactions for ${generations.length} calls`);
  });

  it('answers a quick mix of calls in order, each with the effects of the ones before', async (t) => {
    const core = await startCore(t);
    const { path } = await startServer(t, core.dispatch);
    const client = await RawVarlink.connect(t, path);
    const call = (name: string, parameters: object): object => ({ method: `io.cio.Credentials.${name}`, parameters });
    const rounds = 30;
    for (let round = 0; round < rounds; round += 1) {
      const name = `token-${round}`;
      for (const message of [
        call('Create', { credentials: [{ name, value: 'first' }] }),
        call('Get', { name }),
        call('Create', { credentials: [{ name, value: 'again' }] }),
        call('Remove', { names: [name] }),
        call('Create', { credentials: [{ name, value: 'second' }] }),
        call('Create', { credentials: [{ name, value: 'third' }], replace: true }),
        call('Get', { name }),
        call('List', { patterns: [name] }),
        call('Rollback', { target: name }),
        call('Get', { name }),
      ]) {
        client.send(message);
      }
    }
    for (let round = 0; round < rounds; round += 1) {
      const replies: (Reply | undefined)[] = [];
      for (let index = 0; index < 10; index += 1) replies.push(await client.receive());
      const [created, first, again, removed, anew, replaced, third, listed, , second] = replies;
      const value = (reply: Reply | undefined): unknown => reply?.parameters?.['value'];
      assert.equal(created?.error, undefined);
      assert.equal(again?.error, 'io.cio.Credentials.AlreadyExists');
      for (const reply of [removed, anew, replaced]) assert.equal(reply?.error, undefined);
      assert.deepEqual([value(first), value(third), value(second)], ['first', 'third', 'second']);
      assert.equal((parametersOf(listed) as { credentials: object[] }).credentials.length, 1);
    }
  });
});

describe('VarlinkServer: connections', { skip: skip === false ? skipUnless(descriptors(8000)) : skip }, () => {
  it(`keeps ${CONNECTIONS_MAX} of 3,000: closes the longest idle ones of that user, and none of others`, async (t) => {
    let accepted = 0;
    const open = new Set<object>();
    const { path } = await startServer(t, echo, (socket) => {
      accepted += 1;
      open.add(socket);
      socket.once('close', () => open.delete(socket));
      return identifyPeer(socket);
    });
    const others = [await RawVarlink.connect(t, path), await RawVarlink.connect(t, path, bob)];
    const first = await RawVarlink.connect(t, path, alice);
    const clients: RawVarlink[] = [];
    while (clients.length < 3000) {
      clients.push(...(await connectMany(t, path, 100)));
      await eventually(() => accepted === clients.length + others.length + 1);
      assert.ok(open.size <= CONNECTIONS_MAX + 100, `${open.size} connections`);
      assert.deepEqual(await answering([first]), [true], 'who calls is not the longest idle');
    }
    assert.deepEqual(await answering(others), [true, true]);
    const isServed = await answering(clients);
    const kept = CONNECTIONS_MAX - others.length - 1;
    assert.deepEqual(
      isServed,
      clients.map((_, index) => index >= clients.length - kept),
    );
    const late = await RawVarlink.connect(t, path, bob);
    assert.deepEqual(await answering([late]), [true]);
  });

  it("closes an administrator's connection for an administrator if others have few", async (t) => {
    const { path } = await startServer(t, echo);
    const other = await RawVarlink.connect(t, path, alice);
    const first = await RawVarlink.connect(t, path);
    const more: RawVarlink[] = [];
    while (more.length < CONNECTIONS_MAX - 1) more.push(await RawVarlink.connect(t, path));
    assert.deepEqual(await first.receive(), BUSY);
    assert.ok((await answering([other, ...more])).every(Boolean));
  });

  it('sends Busy to the connections that it closes', async (t) => {
    const { path } = await startServer(t, echo);
    const clients = await connectMany(t, path, CONNECTIONS_MAX + 20);
    for (const client of clients.slice(0, 20)) {
      assert.deepEqual(await client.receive(), BUSY);
      assert.equal(await client.receive(), undefined);
    }
    assert.ok((await answering(clients.slice(20))).every(Boolean));
  });

  it('closes one connection per new one, even if others close while many are accepted', async (t) => {
    const accepted: Socket[] = [];
    const open = new Set<object>();
    const { path } = await startServer(t, echo, (socket) => {
      accepted.push(socket);
      open.add(socket);
      socket.once('close', () => open.delete(socket));
      return identifyPeer(socket);
    });
    const many = 4;
    const clients = await connectMany(t, path, CONNECTIONS_MAX);
    await eventually(() => accepted.length === CONNECTIONS_MAX);
    // Like the sweep: a socket closed by a timer is gone only after the connections of that turn are accepted.
    await pause(1);
    for (const socket of accepted.slice(-many)) socket.destroy();
    const others = await connectMany(t, path, many);
    clients.splice(-many, many, ...others);
    await eventually(() => accepted.length === CONNECTIONS_MAX + many && open.size <= CONNECTIONS_MAX);
    assert.ok((await answering(clients)).every(Boolean), 'nobody makes room beside those who were closed');
    const coming = connectMany(t, path, 3 * many);
    for (const client of clients.splice(0, 3 * many).slice(0, many)) client.close();
    clients.push(...(await coming));
    await eventually(() => accepted.length === CONNECTIONS_MAX + 4 * many && open.size <= CONNECTIONS_MAX);
    assert.ok((await answering(clients)).every(Boolean), 'those who left made room once');
  });

  it('refuses the newest connection of a user whose connections are all busy, and accepts others', async (t) => {
    const manual = new ManualDispatch();
    const { path } = await startServer(t, (caller, message) => {
      if (caller.uid === ALICE.uid) return manual.dispatch(caller, message);
      return echo(caller, message);
    });
    const clients = await connectMany(t, path, CONNECTIONS_MAX);
    for (const client of clients) client.send({ method: GET });
    await eventually(() => manual.begun.length === CONNECTIONS_MAX);
    const newest = await RawVarlink.connect(t, path, alice);
    assert.deepEqual(await newest.receive(), BUSY);
    const other = await RawVarlink.connect(t, path, bob);
    assert.deepEqual(await answering([other]), [true]);
    for (let index = 0; index < CONNECTIONS_MAX; index += 1) manual.answer(index);
    const replies = await Promise.all(clients.map((client) => client.receive()));
    assert.ok(
      replies.every((reply) => reply?.error === undefined),
      'what was begun has its answer',
    );
  });

  it('accepts others while one user has nothing but connections that are ending', async (t) => {
    const manual = new ManualDispatch();
    const open = new Set<object>();
    const { path } = await startServer(
      t,
      (caller, message) => (caller.uid === ALICE.uid ? manual.dispatch(caller, message) : echo(caller, message)),
      (socket) => {
        open.add(socket);
        socket.once('close', () => open.delete(socket));
        return identifyPeer(socket);
      },
    );
    const [longest, ...clients] = await connectMany(t, path, CONNECTIONS_MAX);
    longest?.send('{}\0nonsense\0');
    await eventually(() => manual.begun.length === 1);
    for (const client of clients) client.send('{}\0nonsense\0');
    await eventually(() => manual.begun.length === CONNECTIONS_MAX);
    const others = [await RawVarlink.connect(t, path, bob), await RawVarlink.connect(t, path)];
    assert.deepEqual(await answering(others), [true, true]);
    assert.equal(await longest?.receive(), undefined, 'the first is gone');
    const newest = await RawVarlink.connect(t, path, alice);
    assert.deepEqual(await newest.receive(), BUSY, 'nobody makes room for that user');
    await eventually(() => open.size === CONNECTIONS_MAX);
  });
});

describe('VarlinkServer: pipelined calls', () => {
  const ways: Record<string, () => Answer> = {
    'that are answered at once': () => undefined,
    'that are answered without waiting for anything': async () => {
      await Promise.resolve();
      work();
      return undefined;
    },
    'that are answered by a stream': () => streamed(work),
  };
  for (const [way, answer] of Object.entries(ways)) {
    it(`${way} do not delay the call of another user, on however many connections`, { skip }, async (t) => {
      let begun = 0;
      const { path } = await startServer(t, (caller) => {
        if (caller.uid !== ALICE.uid) return { parameters: { begun } };
        begun += 1;
        const answered = answer();
        if (answered === undefined) work();
        return answered;
      });
      const crowd = await connectMany(t, path, 10);
      const other = await RawVarlink.connect(t, path, bob);
      for (const client of crowd) client.send('{}\0'.repeat(100));
      other.send({});
      const { begun: before } = parametersOf(await other.receive()) as { begun: number };
      assert.ok(before <= (5 * TURN_MS) / CALL_MS, `${before} calls came first`);
      // And none of them is lost.
      await eventually(() => begun === 1000);
    });
  }
});

/** Keeps the event loop waiting. */
function work(): void {
  const end = performance.now() + CALL_MS;
  while (performance.now() < end);
}

async function* streamed(before: () => void): AsyncGenerator<{ parameters: object }, void, undefined> {
  await Promise.resolve();
  before();
  yield { parameters: {} };
}

describe('VarlinkServer: many connections at once', () => {
  it('do not take a turn of the event loop each: a turn may be long', async (t) => {
    const { path } = await startServer(t, echo);
    const many = 300;
    const crowd = Array.from({ length: many }, () => RawVarlink.connect(t, path));
    const newcomer = { turns: 0, isAnswered: false };
    const asked = RawVarlink.connect(t, path)
      .then((client) => client.call('a.b.C'))
      .finally(() => (newcomer.isAnswered = true));
    for (; !newcomer.isAnswered; newcomer.turns += 1) await nextTurn();
    assert.equal((await asked).error, undefined);
    assert.ok(newcomer.turns < many / 2, `it took ${newcomer.turns} turns`);
    assert.deepEqual(new Set(await answering(await Promise.all(crowd))), new Set([true]));
  });
});

describe('VarlinkServer: peers that left', { skip: skip === false ? skipUnless(descriptors(8000)) : skip }, () => {
  it('accepts a connection in place of one whose peer left without its reply', async (t) => {
    const manual = new ManualDispatch();
    const { path } = await startServer(t, manual.dispatch);
    const clients = await connectMany(t, path, CONNECTIONS_MAX);
    for (const client of clients) client.send({ method: GET });
    await eventually(() => manual.begun.length === CONNECTIONS_MAX);
    for (const client of clients.slice(0, 2)) client.close();
    for (let index = 0; index < 2; index += 1) {
      const newcomer = await RawVarlink.connect(t, path, alice);
      newcomer.send({ method: GET });
      await eventually(() => manual.begun.length === CONNECTIONS_MAX + 1 + index);
      manual.answer(CONNECTIONS_MAX + index);
      assert.equal((await newcomer.receive())?.error, undefined);
    }
    for (let index = 0; index < CONNECTIONS_MAX; index += 1) manual.answer(index);
    assert.equal((await clients[2]?.receive())?.error, undefined, 'who stays has his answer');
  });

  it('accepts connections while it works for many peers that left', async (t) => {
    const core = await startCore(t);
    let read = 0;
    const { path } = await startServer(t, (...call) => {
      const answer = core.dispatch(...call);
      if (answer instanceof Promise) void answer.then(() => (read += 1));
      return answer;
    });
    const first = await RawVarlink.connect(t, path);
    for (const [name, value] of [
      ['large', 'x'.repeat(VALUE_BYTES_MAX)],
      ['small', 'y'],
    ]) {
      await first.call(CREATE, { credentials: [{ name, value }] });
    }
    read = 0;
    const many = 200;
    const clients = await Promise.all(Array.from({ length: many }, () => RawVarlink.connect(t, path)));
    for (const client of clients) {
      client.send({ method: GET, parameters: { name: 'large' } });
      client.close();
    }
    const newcomer = await RawVarlink.connect(t, path);
    await newcomer.call(GET, { name: 'small' });
    assert.ok(read < many / 2, `${read} large values were read before`);
    await eventually(() => read === many);
  });
});

describe('VarlinkServer: bytes held by the connections of a user', { skip }, () => {
  it('end in Busy for the connection that holds the most, and do not affect other users', async (t) => {
    const { path } = await startServer(t, echo);
    const other = await RawVarlink.connect(t, path, bob);
    other.send('{"half":');
    const piece = 'x'.repeat(MESSAGE_BYTES_MAX - 65_536);
    const clients = await Promise.all(
      Array.from({ length: HELD_BYTES_PER_USER_MAX / MESSAGE_BYTES_MAX + 2 }, () => RawVarlink.connect(t, path, alice)),
    );
    for (const client of clients) client.send(piece);
    const [ended] = await Promise.race(clients.map(async (client) => [await client.receive()]));
    assert.deepEqual(ended, BUSY);
    other.send('1}\0');
    assert.deepEqual(await other.receive(), { parameters: { half: 1 } });
    const large = await RawVarlink.connect(t, path);
    large.send({ text: 'x'.repeat(VALUE_BYTES_MAX) });
    assert.equal((parametersOf(await large.receive()) as { text: string }).text.length, VALUE_BYTES_MAX);
  });
});

describe('VarlinkServer.stop()', () => {
  it('answers the received calls on every connection, closes them, and removes the socket', async (t) => {
    const manual = new ManualDispatch();
    const { server, path } = await startServer(t, manual.dispatch);
    const clients = await Promise.all(Array.from({ length: 10 }, () => RawVarlink.connect(t, path)));
    const idle = await RawVarlink.connect(t, path);
    for (const client of clients) for (let index = 0; index < 3; index += 1) client.send({ method: CREATE });
    await eventually(() => manual.begun.length === 30);
    const stopped = server.stop();
    assert.equal(await idle.receive(), undefined);
    for (let index = 0; index < 30; index += 1) manual.answer(index);
    await stopped;
    assert.equal(existsSync(path), false);
    for (const client of clients) {
      for (let index = 0; index < 3; index += 1) assert.ok((await client.receive())?.parameters !== undefined);
      assert.equal(await client.receive(), undefined);
    }
    await assert.rejects(RawVarlink.connect(t, path), { code: 'ENOENT' });
  });

  it('processes calls that were sent before it was asked to stop', async (t) => {
    const core = await startCore(t);
    const { server, path } = await startServer(t, core.dispatch);
    const client = await RawVarlink.connect(t, path);
    await client.call(GET, { name: 'none' });
    client.send({ method: CREATE, parameters: { credentials: [{ name: 'token', value: 'x' }] } });
    await server.stop();
    assert.ok((await client.receive())?.parameters !== undefined);
    assert.equal(await core.value({ uid: process.geteuid?.() ?? -1 }, 'token'), 'x');
  });

  it('waits at most five seconds for a peer that does not read', async (t) => {
    // Before the server is stopped again, which takes real time if the test fails.
    t.after(() => t.mock.reset());
    t.mock.timers.enable({ apis: ['setInterval'] });
    const { server, path } = await startServer(t, () => ({ parameters: { text: 'x'.repeat(VALUE_BYTES_MAX) } }));
    const client = await RawVarlink.connect(t, path);
    client.socket.pause();
    client.send({});
    await eventually(() => client.socket.writableLength === 0);
    const idle = await RawVarlink.connect(t, path);
    let now = performance.now();
    t.mock.method(performance, 'now', () => now);
    const tick = async (): Promise<void> => {
      now += SWEEP_INTERVAL_MS;
      t.mock.timers.tick(SWEEP_INTERVAL_MS);
      for (let turn = 0; turn < 20; turn += 1) await nextTurn();
    };
    let isStopped = false;
    const stopped = server.stop().finally(() => (isStopped = true));
    // An idle connection is closed at once.
    assert.equal(await idle.receive(), undefined);
    for (let second = 0; second < 5; second += 1) await tick();
    assert.ok(!isStopped, 'he had less time to read');
    await tick();
    await stopped;
  });

  it('returns if there are no connections, and when called twice', async (t) => {
    const { server } = await startServer(t, echo);
    await server.stop();
    await server.stop();
  });
});
