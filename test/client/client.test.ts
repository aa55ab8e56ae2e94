import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { describe, it } from 'node:test';
import { openPipeTransport } from '../../client/cio/pipe-transport.ts';
import { CredentialClient } from '../../client/client.ts';
import { connectBy, type ConnectOptions } from '../../client/connect.ts';
import { ConnectionError, type ConnectionFailure } from '../../client/connection-error.ts';
import { openNetTransport } from '../../client/net-transport.ts';
import type { OpenTransport } from '../../client/transport.ts';
import { isCredentialError } from '../../src/errors.ts';
import { MESSAGE_BYTES_MAX } from '../../src/limits.ts';
import { HANG_MS } from '../support/hang.ts';
import type { Scope } from '../support/scope.ts';
import { getReply, message, Peer, type ReceivedCall } from './peer.ts';

const NAME = { name: 'name' };

function failure(reason: ConnectionFailure, detail?: string): (error: unknown) => boolean {
  return (error) =>
    error instanceof ConnectionError && error.reason === reason && (detail === undefined || error.detail === detail);
}

for (const [transport, open] of [
  ['node:net', openNetTransport],
  ['the pipe binding', openPipeTransport],
] as const satisfies (readonly [string, OpenTransport])[]) {
  /** Connects a client to a peer that runs `onCall` for every call. */
  const connectTo = async (
    scope: Scope,
    onCall: (call: ReceivedCall, socket: Socket) => void,
    options: ConnectOptions = {},
  ): Promise<{ client: CredentialClient; peer: Peer }> => {
    const peer = await Peer.onCalls(scope, onCall);
    const client = await connectBy(open, { socket: peer.path, timeoutMs: 10_000, ...options });
    scope.after(() => client.close());
    return { client, peer };
  };

  describe(`CredentialClient.call() over ${transport}`, () => {
    it('sends the call as Varlink specifies, and returns the reply', async (t) => {
      const calls: ReceivedCall[] = [];
      const { client, peer } = await connectTo(t, (call, socket) => {
        calls.push(call);
        socket.write(getReply('secret'));
      });
      const reply = await client.call('Get', { name: 'name', version: 3 });
      assert.deepEqual(reply, { name: 'name', value: 'secret', version: 1, generation: 1 });
      assert.deepEqual(calls, [{ method: 'io.cio.Credentials.Get', parameters: { name: 'name', version: 3 } }]);
      assert.equal(client.socket, peer.path);
    });

    it('has many calls under way, and returns each its own reply', async (t) => {
      const { client } = await connectTo(t, ({ parameters }, socket) => {
        socket.write(getReply(`value of ${String(parameters['name'])}`));
      });
      const names = Array.from({ length: 500 }, (_, index) => `name${index}`);
      const replies = await Promise.all(names.map((name) => client.call('Get', { name })));
      assert.deepEqual(
        replies.map(({ value }) => value),
        names.map((name) => `value of ${name}`),
      );
    });

    it('assembles a reply that arrives byte by byte', async (t) => {
      const { client } = await connectTo(t, (_call, socket) => {
        const bytes = Buffer.from(getReply('ünïcödé'));
        const next = (index: number): void => {
          if (index < bytes.length) socket.write(bytes.subarray(index, index + 1), () => next(index + 1));
        };
        next(0);
      });
      assert.equal((await client.call('Get', NAME)).value, 'ünïcödé');
    });

    it("throws the daemon's errors with code and fields, and the connection stays usable", async (t) => {
      const answers = [
        message({ error: 'io.cio.Credentials.NotFound', parameters: { name: 'name' } }),
        message({ error: 'io.cio.Credentials.Locked' }),
        getReply('later'),
      ];
      const { client } = await connectTo(t, (_call, socket) => socket.write(answers.shift() ?? ''));
      await assert.rejects(client.call('Get', NAME), { code: 'NotFound', fields: { name: 'name' } });
      await assert.rejects(client.call('Get', NAME), { code: 'Locked', fields: {} });
      assert.equal((await client.call('Get', NAME)).value, 'later');
    });

    it('accepts fields that a later daemon adds', async (t) => {
      const parameters = { name: 'name', value: 'v', version: 1, generation: 1, shade: 'blue' };
      const { client } = await connectTo(t, (_call, socket) => socket.write(message({ parameters, later: true })));
      assert.equal((await client.call('Get', NAME)).value, 'v');
    });

    it('distinguishes unknown, malformed and Varlink service errors from those of the interface', async (t) => {
      const answers = [
        { error: 'org.varlink.service.MethodNotFound', parameters: { method: 'io.cio.Credentials.Get' } },
        { error: 'org.varlink.service.InvalidParameter', parameters: { parameter: 'credentials[0].name' } },
        { error: 'org.varlink.service.InvalidParameter', parameters: { parameter: '\u001b]0;x\u0007' } },
        { error: 'org.varlink.service.InvalidParameter', parameters: { parameter: '\u001b]0;x' } },
        { error: 'io.cio.Credentials.Unheard', parameters: {} },
        { error: 'io.cio.Credentials.constructor', parameters: {} },
        { error: `io.cio.Credentials.U${'n'.repeat(40)}`, parameters: {} },
        { error: 'io.cio.Credentials.NotFound', parameters: { name: 7 } },
        { error: '__proto__', parameters: {} },
      ];
      const { client } = await connectTo(t, (_call, socket) => socket.write(message(answers.shift() ?? {})));
      await assert.rejects(client.call('Get', NAME), failure('rejected', 'MethodNotFound'));
      await assert.rejects(client.call('Get', NAME), failure('rejected', 'InvalidParameter: credentials[0].name'));
      for (let count = 0; count < 2; count += 1) {
        await assert.rejects(client.call('Get', NAME), (error) => {
          return failure('rejected')(error) && (error as ConnectionError).detail === undefined;
        });
      }
      await assert.rejects(client.call('Get', NAME), failure('rejected', 'Unheard'));
      await assert.rejects(client.call('Get', NAME), failure('bad_reply'));
      await assert.rejects(client.call('Get', NAME), failure('bad_reply'));
      await assert.rejects(client.call('Get', NAME), failure('bad_reply'));
      await assert.rejects(client.call('Get', NAME), failure('bad_reply'));
    });

    it('refuses a malformed reply, and says at which field without its content', async (t) => {
      const good = { name: 'name', value: 'canary', version: 1, generation: 1 };
      const bad: [unknown, string][] = [
        [{ ...good, version: 'canary' }, 'Get: version'],
        [{ ...good, value: { toString: 'canary' } }, 'Get: value'],
        [{ ...good, version: 1.5 }, 'Get: version'],
        [{ name: 'name' }, 'Get: version'],
        [['canary'], 'Get: parameters'],
        ['canary', 'Get: parameters'],
        [JSON.parse('{"__proto__": {"name": "canary"}}'), 'Get: parameters'],
      ];
      const { client } = await connectTo(t, (_call, socket) => socket.write(message({ parameters: bad.shift()?.[0] })));
      for (const [, detail] of bad.slice()) {
        await assert.rejects(client.call('Get', NAME), (error) => {
          assert.ok(failure('bad_reply', detail)(error), `${String(error)} is not at ${detail}`);
          assert.ok(!JSON.stringify([String(error), (error as Error).stack, error]).includes('canary'));
          return true;
        });
      }
    });

    for (const [what, bytes] of [
      ['no JSON', 'hello\0'],
      ['an empty message', '\0'],
      ['no object', '[]\0'],
      ['null', 'null\0'],
      ['an error that is no text', '{"error":5}\0'],
      ['continues that is no truth', '{"continues":"yes"}\0'],
      ['bytes that are no UTF-8', Buffer.from(getReply('\u00ff'), 'latin1')],
      ['a reply that goes on, to a call without more', '{"parameters":{},"continues":true}\0'],
      ['JSON nested without end', `{"parameters":${'['.repeat(1_000_000)}\0`],
    ] as const) {
      it(`fails all calls and closes the connection on ${what}`, async (t) => {
        const { client, peer } = await connectTo(t, (_call, socket) => socket.write(bytes));
        const results = await Promise.allSettled([client.call('Get', NAME), client.call('Get', NAME)]);
        for (const result of results) assert.ok(result.status === 'rejected' && failure('bad_reply')(result.reason));
        await assert.rejects(client.call('Status', {}), failure('bad_reply'));
        await waitUntil(() => peer.open === 0);
      });
    }

    it('refuses a reply that belongs to no call', async (t) => {
      const { client } = await connectTo(t, (_call, socket) => socket.write(getReply('one') + getReply('two')));
      assert.equal((await client.call('Get', NAME)).value, 'one');
      await assert.rejects(client.call('Get', NAME), failure('bad_reply'));
    });

    it('takes an error that belongs to no call for the reason why the daemon closes the connection', async (t) => {
      const busy = message({ error: 'io.cio.Credentials.Busy', parameters: {} });
      const { client, peer } = await connectTo(t, (_call, socket) => socket.end(getReply('one') + busy));
      assert.equal((await client.call('Get', NAME)).value, 'one');
      await waitUntil(() => peer.open === 0);
      await assert.rejects(client.call('Get', NAME), (error) => isCredentialError(error, 'Busy'));
    });

    it('does not buffer a message without end', async (t) => {
      let sent = 0;
      const { client, peer } = await connectTo(t, (_call, socket) => {
        const junk = Buffer.alloc(64 * 1024, 'x');
        const more = (): void => {
          sent += junk.length;
          if (!socket.destroyed) socket.write(junk, more);
        };
        more();
      });
      await assert.rejects(client.call('Get', NAME), failure('bad_reply', 'size'));
      await waitUntil(() => peer.open === 0);
      assert.ok(sent < 4 * MESSAGE_BYTES_MAX, `${sent}`);
    });

    it('accepts a message of the largest size, and none that is larger', async (t) => {
      const room = MESSAGE_BYTES_MAX + 1 - getReply('').length;
      const values = ['x'.repeat(room), 'x'.repeat(room + 1)];
      const { client } = await connectTo(t, (_call, socket) => socket.write(getReply(values.shift() ?? '')));
      assert.equal((await client.call('Get', NAME)).value?.length, room);
      await assert.rejects(client.call('Get', NAME), failure('bad_reply', 'size'));
    });

    it('does not send a call that is larger than a message may be', async (t) => {
      let calls = 0;
      const { client } = await connectTo(t, (_call, socket) => {
        calls += 1;
        socket.write(getReply('v'));
      });
      const tooLarge = client.call('Get', { name: 'x'.repeat(MESSAGE_BYTES_MAX) });
      await assert.rejects(tooLarge, (error) => isCredentialError(error, 'TooLarge'));
      await client.call('Get', NAME);
      assert.equal(calls, 1);
    });

    it('fails every unanswered call when the connection ends', async (t) => {
      const { client } = await connectTo(t, (_call, socket) => socket.end(getReply('first') + '{"parameters":'));
      const results = await Promise.allSettled([1, 2, 3].map(() => client.call('Get', NAME)));
      assert.equal(results[0]?.status, 'fulfilled');
      for (const result of results.slice(1)) {
        assert.ok(result.status === 'rejected' && failure('closed')(result.reason));
      }
      await assert.rejects(client.call('Get', NAME), failure('closed'));
    });

    it('times out on a daemon that does not answer, and on one that never ends its reply', async (t) => {
      const silent = await connectTo(t, () => undefined, { timeoutMs: 30 });
      await assert.rejects(silent.client.call('Get', NAME), failure('timed_out'));
      await waitUntil(() => silent.peer.open === 0);
      const slow = await connectTo(t, (_call, socket) => {
        const drip = (): void => void (socket.destroyed || socket.write('x', () => setTimeout(drip, 5)));
        drip();
      });
      await assert.rejects(slow.client.call('Get', NAME, { timeoutMs: 50 }), failure('timed_out'));
    });

    it('times out on a daemon that answers only the first of two calls', { timeout: 20_000 }, async (t) => {
      let calls = 0;
      const { client } = await connectTo(
        t,
        (_call, socket) => {
          calls += 1;
          if (calls === 1) socket.write(getReply('first'));
        },
        { timeoutMs: 1000 },
      );
      const [first, second] = [client.call('Get', NAME), client.call('Get', NAME)];
      await Promise.all([first, assert.rejects(second, failure('timed_out'))]);
    });

    it('accepts a reply that arrived in time, though this process was stopped for longer', async (t) => {
      t.mock.timers.enable({ apis: ['setTimeout'] });
      const { client } = await connectTo(t, (_call, socket) => {
        socket.write(getReply('in time'));
        // The time-out expires in the turn of the event loop in which the reply has arrived and is not yet read.
        setImmediate(() => t.mock.timers.tick(10_001));
      });
      assert.equal((await client.call('Get', NAME)).value, 'in time');
    });

    it("starts a call's time-out when the calls before it are answered", async (t) => {
      t.mock.timers.enable({ apis: ['setTimeout'] });
      const waiting: Socket[] = [];
      const { client } = await connectTo(t, (_call, socket) => waiting.push(socket));
      const first = client.call('Get', NAME);
      const second = client.call('Get', NAME, { timeoutMs: 1 });
      await waitUntil(() => waiting.length === 2);
      t.mock.timers.tick(9_999);
      waiting[0]?.write(getReply('one') + getReply('two'));
      assert.deepEqual([(await first).value, (await second).value], ['one', 'two']);
    });

    it('fails with the reason of its AbortSignal', async (t) => {
      const controller = new AbortController();
      const { client, peer } = await connectTo(t, () => undefined, { signal: controller.signal });
      const call = client.call('Get', NAME);
      controller.abort(new Error('enough'));
      await assert.rejects(call, { message: 'enough' });
      await assert.rejects(client.call('Get', NAME), { message: 'enough' });
      await waitUntil(() => peer.open === 0);
    });

    it('is closed by close(), called any number of times, and by `await using`', async (t) => {
      const { client, peer } = await connectTo(t, () => undefined);
      const call = client.call('Get', NAME);
      client.close();
      client.close();
      await assert.rejects(call, failure('closed'));
      {
        await using other = await connectBy(open, { socket: peer.path });
        assert.ok(other instanceof CredentialClient);
      }
      await waitUntil(() => peer.open === 0);
    });
  });

  describe(`CredentialClient.stream() over ${transport}`, () => {
    const listReply = (names: readonly string[], continues: boolean): string =>
      message({
        parameters: { credentials: names.map((name) => credential(name)), sets: [], damaged: 0 },
        ...(continues && { continues }),
      });

    const watchReply = message({
      parameters: { credentials: [], sets: [], vanished: [], settled: true },
      continues: true,
    });

    it('yields every reply, and ends with the one without `continues`', async (t) => {
      const calls: ReceivedCall[] = [];
      const { client } = await connectTo(t, (call, socket) => {
        calls.push(call);
        socket.write(listReply(['a', 'b'], true) + listReply(['c'], true) + listReply([], false));
      });
      const names: string[] = [];
      for await (const { credentials } of client.stream('List', {}))
        for (const { name } of credentials) names.push(name);
      assert.deepEqual(names, ['a', 'b', 'c']);
      assert.equal(calls[0]?.more, true);
    });

    it('keeps its place between the calls before and after it', async (t) => {
      const { client } = await connectTo(t, ({ method }, socket) => {
        const isList = method.endsWith('.List');
        socket.write(isList ? listReply(['a'], true) + listReply(['b'], false) : getReply('v'));
      });
      const before = client.call('Get', NAME);
      const stream = client.stream('List', {});
      const first = stream.next();
      const behind = client.call('Get', NAME);
      assert.equal((await before).value, 'v');
      assert.equal((await first).value?.credentials[0]?.name, 'a');
      assert.equal((await behind).value, 'v');
      assert.equal((await stream.next()).value?.credentials[0]?.name, 'b');
      assert.equal((await stream.next()).done, true);
    });

    it('throws an error at its place in the stream', async (t) => {
      const { client } = await connectTo(t, (_call, socket) => {
        socket.write(listReply(['a'], true) + message({ error: 'io.cio.Credentials.Locked', parameters: {} }));
      });
      const stream = client.stream('List', {});
      assert.equal((await stream.next()).value?.credentials[0]?.name, 'a');
      await assert.rejects(stream.next(), { code: 'Locked' });
      assert.equal((await stream.next()).done, true);
    });

    it('leaves the connection usable if its reader stops early', async (t) => {
      const { client } = await connectTo(t, ({ method }, socket) => {
        if (!method.endsWith('.List')) socket.write(getReply('later'));
        else socket.write(listReply(['a'], true).repeat(100) + listReply([], false));
      });
      for await (const { credentials } of client.stream('List', {})) {
        assert.equal(credentials.length, 1);
        break;
      }
      assert.equal((await client.call('Get', NAME)).value, 'later');
    });

    it('closes the connection if the reader of a Watch stops early', async (t) => {
      const { client, peer } = await connectTo(t, ({ method }, socket) => {
        socket.write(method.endsWith('.Watch') ? watchReply : getReply('before'));
      });
      const before = client.call('Get', NAME);
      let behind: Promise<void> | undefined;
      for await (const { settled } of client.stream('Watch', {})) {
        assert.equal(settled, true);
        assert.equal((await before).value, 'before');
        behind = assert.rejects(client.call('Get', NAME), failure('closed'));
        break;
      }
      await behind;
      await assert.rejects(client.call('Get', NAME), failure('closed'));
      await waitUntil(() => peer.open === 0);
    });

    it('leaves the connection usable after a Watch that the daemon ended', async (t) => {
      const { client } = await connectTo(t, ({ method }, socket) => {
        const isWatch = method.endsWith('.Watch');
        socket.write(isWatch ? message({ error: 'io.cio.Credentials.Locked', parameters: {} }) : getReply('later'));
      });
      await assert.rejects(client.stream('Watch', {}).next(), { code: 'Locked' });
      assert.equal((await client.call('Get', NAME)).value, 'later');
    });

    it('applies back-pressure to the daemon while its replies are not read', async (t) => {
      let written = 0;
      const reply = listReply(
        Array.from({ length: 500 }, () => 'name'),
        true,
      );
      const { client, peer } = await connectTo(t, (_call, socket) => {
        const more = (): void => {
          written += 1;
          if (!socket.destroyed) socket.write(reply, more);
        };
        more();
      });
      const stream = client.stream('List', {});
      await stream.next();
      // Until the peer's writes no longer get through: both ends run in this event loop.
      for (let before = -1; before !== written;) {
        before = written;
        await turns(100);
      }
      assert.ok(written < 100, `${written} replies of ${reply.length} bytes were taken`);
      await stream.next();
      client.close();
      await waitUntil(() => peer.open === 0);
    });

    it('does not count the time that its reader takes', async (t) => {
      t.mock.timers.enable({ apis: ['setTimeout'] });
      const { client } = await connectTo(t, (_call, socket) => {
        socket.write(listReply(['a'], true).repeat(20) + listReply([], false));
      });
      let replies = 0;
      for await (const _reply of client.stream('List', {})) {
        replies += 1;
        if (replies === 2) t.mock.timers.tick(1_000_000);
      }
      assert.equal(replies, 21);
    });

    it('throws when the connection ends in mid-stream', async (t) => {
      const { client } = await connectTo(t, (_call, socket) => socket.end(listReply(['a'], true)));
      const stream = client.stream('List', {});
      await stream.next();
      await assert.rejects(stream.next(), failure('closed'));
    });
  });
}

function credential(name: string): object {
  const numbers = { owner: 0, createdBy: 0, version: 1, generation: 1, created: 1, changed: 1, size: 1 };
  return { name, ...numbers, writable: true };
}

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

/** Like `eventually()`, but waits in turns of the event loop, as some of these tests mock the timers. */
async function waitUntil(isDone: () => boolean): Promise<void> {
  const deadline = performance.now() + HANG_MS;
  while (!isDone()) {
    if (performance.now() > deadline) throw new Error(`it never came to: ${isDone.toString()}`);
    await turns(1);
  }
}
