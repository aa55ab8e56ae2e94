import assert from 'node:assert/strict';
import os from 'node:os';
import { describe, it } from 'node:test';
import { openPipeTransport } from '../../../client/cio/pipe-transport.ts';
import { ConnectionError } from '../../../client/connection-error.ts';
import { connectBy } from '../../../client/connect.ts';
import { isCredentialError } from '../../../src/errors.ts';
import { eventually } from '../../support/eventually.ts';
import { getReply, message, Peer } from '../peer.ts';

const internals = process as unknown as { binding: unknown };

describe('openPipeTransport()', () => {
  for (const [what, binding] of [
    ['has no bindings', undefined],
    ['has others', () => ({})],
    ['refuses them', () => assert.fail('no such module')],
  ] as const) {
    it(`falls back to node:net on a Node that ${what}`, async (t) => {
      const peer = await Peer.onCalls(t, (_call, socket) => socket.write(getReply('v')));
      const original = internals.binding;
      internals.binding = binding;
      t.after(() => {
        internals.binding = original;
      });
      const client = await connectBy(openPipeTransport, { socket: peer.path });
      assert.equal((await client.call('Get', { name: 'x' })).value, 'v');
      client.close();
    });
  }

  it('delivers what the daemon sent before it closed, when nothing can be written any more', async (t) => {
    const peer = await Peer.listen(t, (socket) => {
      socket.end(message({ error: 'io.cio.Credentials.Busy', parameters: {} }));
      socket.destroySoon();
    });
    for (let round = 0; round < 20; round += 1) {
      const client = await connectBy(openPipeTransport, { socket: peer.path });
      await assert.rejects(client.call('Get', { name: 'x' }), (error) => isCredentialError(error, 'Busy'));
    }
  });

  it('fails at once where a write fails, as no reply can follow', async (t) => {
    const peer = await Peer.listen(t, () => undefined);
    const { Pipe } = (internals.binding as (name: string) => { Pipe: { prototype: object } })('pipe_wrap');
    const { constants } = os;
    const refused = t.mock.method(Pipe.prototype as { writeUtf8String: () => number }, 'writeUtf8String', () => {
      return -constants.errno.ENOBUFS;
    });
    const client = await connectBy(openPipeTransport, { socket: peer.path });
    await assert.rejects(client.call('Get', { name: 'x' }), (error) => {
      assert.ok(error instanceof ConnectionError);
      return error.reason === 'closed' && (error.cause as NodeJS.ErrnoException).code === 'ENOBUFS';
    });
    assert.equal(refused.mock.callCount(), 1);
  });

  it('can be destroyed before its first listener, and more than once', async (t) => {
    const peer = await Peer.listen(t, () => undefined);
    const transport = await openPipeTransport(peer.path);
    transport.destroy();
    transport.destroy();
    transport.write('x');
    transport.pause();
    transport.resume();
    await eventually(() => peer.open === 0);
  });
});
