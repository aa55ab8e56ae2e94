import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { InheritedSocketError, takeInheritedSockets } from '../../../daemon/kernel/inherited-sockets.ts';
import { run } from '../../support/process.ts';
import { command, skipUnless } from '../../support/requirements.ts';

const MODULE = new URL('../../../daemon/kernel/inherited-sockets.ts', import.meta.url).href;

/** Passes descriptors from 3 on and executes the program, as systemd does. */
const EXEC = `
import os, socket, sys
kinds = sys.argv[1].split(',')
made = []
for kind in kinds:
    if kind == 'file': made.append(os.open('/dev/null', os.O_RDONLY))
    elif kind == 'closed': made.append(None)
    elif kind == 'connection': made.append(socket.socketpair()[0].detach())
    elif kind == 'datagram': made.append(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).detach())
    elif kind == 'tcp':
        tcp = socket.socket(); tcp.bind(('127.0.0.1', 0)); tcp.listen(); made.append(tcp.detach())
    else:
        listening = socket.socket(socket.AF_UNIX); listening.bind(''); listening.listen(); made.append(listening.detach())
high = [None if fd is None else os.dup2(fd, 100 + index) for index, fd in enumerate(made)]
for index, fd in enumerate(high):
    if fd is None:
        try: os.close(3 + index)
        except OSError: pass
    else: os.dup2(fd, 3 + index)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(kinds)), LISTEN_FDNAMES=sys.argv[2])
os.execv(sys.argv[3], sys.argv[3:])
`;

const PRINT = `
const { takeInheritedSockets } = await import(process.argv[1]);
const fs = await import('node:fs');
try {
  const sockets = takeInheritedSockets(process.env, process.pid);
  const flags = sockets.map(({ fd }) => /flags:\\s+(\\d+)/.exec(fs.readFileSync('/proc/self/fdinfo/' + fd, 'utf8'))[1]);
  console.log(JSON.stringify({ sockets, isCloseOnExec: flags.every((text) => (parseInt(text, 8) & 0o2000000) !== 0) }));
} catch (error) { console.log(error.name, error.message); }
`;

async function passed(kinds: string, names: string): Promise<string> {
  const node = [process.execPath, '--input-type=module', '-e', PRINT, MODULE];
  const { stdout, stderr } = await run(['python3', '-c', EXEC, kinds, names, ...node]);
  assert.equal(stderr, '');
  return stdout.toString().trimEnd();
}

const has = { skip: skipUnless(command('python3')) };

describe('takeInheritedSockets()', () => {
  it('returns the descriptors that systemd passes, with their names, and sets close-on-exec', has, async () => {
    assert.deepEqual(JSON.parse(await passed('listening,connection,listening', 'varlink:load.plain.7f:load')), {
      sockets: [
        { fd: 3, name: 'varlink', isListening: true },
        { fd: 4, name: 'load.plain.7f', isListening: false },
        { fd: 5, name: 'load', isListening: true },
      ],
      isCloseOnExec: true,
    });
  });

  it('returns an empty name for a descriptor without one', has, async () => {
    const { sockets } = JSON.parse(await passed('listening,listening', 'varlink')) as { sockets: { name: string }[] };
    assert.deepEqual(
      sockets.map(({ name }) => name),
      ['varlink', ''],
    );
  });

  for (const kind of ['file', 'closed', 'datagram', 'tcp']) {
    it(`refuses a descriptor that is not a Unix stream socket: ${kind}`, has, async () => {
      assert.match(
        await passed(`listening,${kind}`, 'varlink:load'),
        /^InheritedSocketError descriptor 4 is not a Unix/,
      );
    });
  }

  it('returns nothing without the variables, or if they are for another process', () => {
    assert.deepEqual(takeInheritedSockets({}, 7), []);
    assert.deepEqual(takeInheritedSockets({ LISTEN_FDS: '3' }, 7), []);
    assert.deepEqual(takeInheritedSockets({ LISTEN_PID: '8', LISTEN_FDS: '3' }, 7), []);
    assert.deepEqual(takeInheritedSockets({ LISTEN_PID: '7', LISTEN_FDS: '0' }, 7), []);
  });

  it('refuses an invalid count', () => {
    for (const LISTEN_FDS of ['', 'x', '-1', '1.5', '1e9', undefined]) {
      if (LISTEN_FDS === '') continue;
      assert.throws(() => takeInheritedSockets({ LISTEN_PID: '7', LISTEN_FDS }, 7), InheritedSocketError, LISTEN_FDS);
    }
  });
});
