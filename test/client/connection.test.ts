import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Connection } from '../../client/connection.ts';
import { openNetTransport } from '../../client/net-transport.ts';
import { getReply, Peer } from './peer.ts';

describe('Connection', () => {
  it("passes an exception of a reply's receiver on unchanged", async (t) => {
    const peer = await Peer.onCalls(t, (_call, socket) => socket.write(getReply('value')));
    const connection = new Connection(await openNetTransport(peer.path), peer.path);
    t.after(() => connection.fail(new Error('the test is over')));
    const defect = new TypeError('a defect');
    const failure = new Promise((resolve) => {
      for (const onReply of [(): never => assert.fail(defect), (): void => resolve('a reply')]) {
        const call = JSON.stringify({ method: 'io.cio.Credentials.Get', parameters: { name: 'name' } });
        connection.send(call, { isStream: false, timeoutMs: 60_000, onReply, onFailure: resolve });
      }
    });
    assert.equal(await failure, defect);
  });
});
