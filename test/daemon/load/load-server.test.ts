import assert from 'node:assert/strict';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { describe, it } from 'node:test';
import { UnknownPeerError } from '../../../daemon/kernel/peer.ts';
import { LoadServer } from '../../../daemon/load/load-server.ts';
import { UntrustedPeerError } from '../../../daemon/load/authenticate-request.ts';
import { PLAIN_WIRE, SEALED_WIRE } from '../../../daemon/load/wire.ts';
import { createLog } from '../../../daemon/log.ts';
import { eventually } from '../../support/eventually.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import {
  FakeServiceManager,
  REFUSAL,
  REQUEST,
  SEALED_REFUSAL,
  listenAt,
  readToEnd,
  serve,
  value,
} from './served-socket.ts';

describe('LoadServer', () => {
  it('sends the bytes of the value, and closes the connection', async (t) => {
    const served = await serve(t);
    served.answer = value('the value\n');
    assert.deepEqual(await served.ask(), Buffer.from('the value\n'));
    await eventually(() => served.manager.calls.length === 2);
    assert.deepEqual(served.manager.calls, ['store', 'remove']);
    assert.deepEqual(served.log, []);
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

  it('refuses an empty value, and logs that it is empty: systemd would start the unit without a secret', async (t) => {
    const wires = [
      { wire: PLAIN_WIRE, refusal: REFUSAL },
      { wire: SEALED_WIRE, refusal: SEALED_REFUSAL },
    ];
    for (const { wire, refusal } of wires) {
      const served = await serve(t, wire);
      served.answer = { kind: 'value', bytes: new Uint8Array() };
      assert.deepEqual(await served.ask(), refusal);
      assert.match(served.log.at(-1) ?? '', /a unit was refused a credential reason=empty unit=restic\.service/);
    }
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
