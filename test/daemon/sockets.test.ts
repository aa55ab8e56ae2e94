import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { InheritedSocketError } from '../../daemon/kernel/inherited-sockets.ts';
import type { InheritedSocket } from '../../daemon/kernel/inherited-sockets.ts';
import { placesOf } from '../../daemon/sockets.ts';

const listening = (fd: number, name: string): InheritedSocket => ({ fd, name, isListening: true });

describe('placesOf()', () => {
  it('returns paths in the runtime directory if systemd passed no listening socket', () => {
    const own = {
      varlink: { path: '/run/x/io.cio.Credentials' },
      load: { path: '/run/x/load' },
      'load-encrypted': { path: '/run/x/load-encrypted' },
    };
    assert.deepEqual(placesOf([], '/run/x'), own);
    assert.deepEqual(placesOf([{ fd: 3, name: 'load.plain.1', isListening: false }], '/run/x'), own);
  });

  it('returns what systemd passed, in any order, and nothing else', () => {
    const load = listening(3, 'load');
    const varlink = listening(5, 'varlink');
    assert.deepEqual(placesOf([load, varlink], '/run/x'), { varlink, load, 'load-encrypted': undefined });
  });

  it('refuses an unknown socket', () => {
    for (const name of ['', 'unknown', 'constructor', 'cio-credentiald.socket']) {
      assert.throws(() => placesOf([listening(3, name)], '/run/x'), InheritedSocketError, name);
    }
  });

  it('refuses two sockets for one purpose: callers of the second would never be answered', () => {
    const second = { message: /^systemd listens on two sockets named load; give that socket unit one ListenStream=$/ };
    const sockets = [listening(3, 'varlink'), listening(4, 'load'), listening(5, 'load')];
    assert.throws(() => placesOf(sockets, '/run/x'), { name: 'InheritedSocketError', ...second });
    // There may be any number of connections besides.
    const kept = [6, 7].map((fd) => ({ fd, name: 'load.plain.1', isListening: false }));
    assert.equal(placesOf([...sockets.slice(0, 2), ...kept], '/run/x').load, sockets[1]);
  });
});
