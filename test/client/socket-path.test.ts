import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { socketCandidates, type SocketPathInputs } from '../../client/socket-path.ts';

const SYSTEM = '/run/cio-credentiald/io.cio.Credentials';

function pathsOf(environment: SocketPathInputs['environment'], uid = 1000, socket?: string): string[] {
  return socketCandidates({ socket, environment, uid }).map(({ path }) => path);
}

describe('socketCandidates()', () => {
  const everything = { CIO_CREDENTIAL_SOCKET: '/b', CIO_RUNTIME_DIR: '/c', XDG_RUNTIME_DIR: '/d', HOME: '/home/ann' };

  it('takes the given path before everything else', () => {
    assert.deepEqual(pathsOf(everything, 1000, '/a'), ['/a']);
  });

  it('takes CIO_CREDENTIAL_SOCKET, then the folder CIO_RUNTIME_DIR', () => {
    assert.deepEqual(pathsOf(everything), ['/b']);
    assert.deepEqual(pathsOf({ ...everything, CIO_CREDENTIAL_SOCKET: '' }), ['/c/io.cio.Credentials']);
  });

  it("puts a user's own daemon first, but for root the system's", () => {
    const user = '/run/user/1000/cio-credentiald/io.cio.Credentials';
    assert.deepEqual(pathsOf({ XDG_RUNTIME_DIR: '/run/user/1000' }), [user, SYSTEM]);
    assert.deepEqual(pathsOf({ XDG_RUNTIME_DIR: '/run/user/1000' }, 0), [SYSTEM, user]);
  });

  it('falls back to a folder below the state directory without XDG_RUNTIME_DIR', () => {
    const [inHome] = pathsOf({ HOME: '/home/ann' });
    assert.equal(inHome, '/home/ann/.local/state/cio-credentiald/run/io.cio.Credentials');
    const [inState] = pathsOf({ HOME: '/home/ann', XDG_STATE_HOME: '/state' });
    assert.equal(inState, '/state/cio-credentiald/run/io.cio.Credentials');
    const [own] = pathsOf({ HOME: '/home/ann', XDG_STATE_HOME: '/state', CIO_STATE_DIR: '/own' });
    assert.equal(own, '/own/run/io.cio.Credentials');
  });

  it('ignores XDG variables that are empty or relative', () => {
    for (const value of ['', 'run', './run']) {
      const [path] = pathsOf({ HOME: '/home/ann', XDG_RUNTIME_DIR: value, XDG_STATE_HOME: value });
      assert.equal(path, '/home/ann/.local/state/cio-credentiald/run/io.cio.Credentials');
    }
  });

  it("requires a folder of the caller's own where the path follows from inherited variables", () => {
    const trustOf = (environment: SocketPathInputs['environment'], socket?: string): boolean[] =>
      socketCandidates({ socket, environment, uid: 0 }).map(({ needsOwnFolder }) => needsOwnFolder);
    assert.deepEqual(trustOf({ XDG_RUNTIME_DIR: '/run/user/1000' }), [false, true]);
    assert.deepEqual(trustOf({ HOME: '/home/ann' }), [false, true]);
    assert.deepEqual(trustOf({ CIO_RUNTIME_DIR: '/c' }), [false]);
    assert.deepEqual(trustOf({}, '/a'), [false]);
  });
});
