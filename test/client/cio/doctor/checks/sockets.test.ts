import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { checkSockets } from '../../../../../client/cio/doctor/checks/sockets.ts';
import type { Facts, SocketFacts } from '../../../../../client/cio/doctor/facts.ts';
import { stateOf } from '../../../../../client/cio/doctor/verdict.ts';
import { answering, assertWell, PROCESS, seenFile, SERVICE_UID, SILENT, SYSTEMD, told, WELL } from '../host.ts';

const RUN = '/run/cio-credentiald';

function host(changed: Partial<SocketFacts>): Facts {
  assert.ok('value' in WELL.sockets);
  return { ...WELL, sockets: { value: { ...WELL.sockets.value, ...changed } } };
}

/** The facts with one socket unit, and the service, as `systemctl show` reports them. */
function unit(name: string, active: string, file: string, service = 'enabled'): Facts {
  assert.ok('value' in SYSTEMD.socketUnits);
  const properties = new Map([
    ['ActiveState', active],
    ['UnitFileState', file],
  ]);
  const socketUnits = { value: new Map([...SYSTEMD.socketUnits.value, [`${name}.socket`, properties]]) };
  return { ...WELL, systemd: { ...SYSTEMD, service: { value: new Map([['UnitFileState', service]]) }, socketUnits } };
}

/** The facts of a user's own daemon. */
function own(changed: Partial<SocketFacts>, folder = '/run/user/1000/cio-credentiald'): Facts {
  const base = answering({ uid: 1000 }, { ...WELL, caller: { ...WELL.caller, uid: 1000 } });
  assert.ok(base.daemon.kind === 'answered');
  const socket = `${folder}/io.cio.Credentials`;
  const sockets: SocketFacts = {
    folder: seenFile(folder, 'directory', 0o700, 1000),
    varlink: seenFile(socket, 'socket', 0o600, 1000),
    load: { value: undefined },
    loadEncrypted: { value: undefined },
    probe: { value: undefined },
    isHeldByDaemon: { unseen: 'for root to see' },
    ...changed,
  };
  return { ...base, daemon: { ...base.daemon, socket }, sockets: { value: sockets } };
}

describe('checkSockets()', () => {
  it("finds nothing about the sockets that the package or a user's own daemon makes", () => {
    assertWell(checkSockets(WELL));
    assertWell(checkSockets(own({})));
    assert.deepEqual(told(checkSockets(host({ folder: seenFile(RUN, 'directory', 0o755, SERVICE_UID) }))), []);
  });

  for (const [what, facts, expected] of [
    [
      'a folder that others can write',
      host({ folder: seenFile(RUN, 'directory', 0o775, 0) }),
      /^error: .* has mode 0775: others can write there \| chmod go-w \/run\/cio-credentiald$/,
    ],
    ['a folder of a stranger', host({ folder: seenFile(RUN, 'directory', 0o755, 1234) }), /^error: .* uid 1234$/],
    ['a folder that is a link', host({ folder: seenFile(RUN, 'other', 0o777, 0) }), /^error: .* is not a directory$/],
    [
      'a folder that users cannot pass',
      host({ folder: seenFile(RUN, 'directory', 0o700, 0) }),
      /^warning: .* has mode 0700 \| chmod 0755 /,
    ],
    [
      'a socket that users cannot reach',
      host({ varlink: seenFile(`${RUN}/io.cio.Credentials`, 'socket', 0o600, 0) }),
      /^warning: .* has mode 0600, not 0666 \| systemctl restart cio-credentiald\.socket$/,
    ],
    [
      "a user's socket that all can reach",
      own({ varlink: seenFile('/run/x/io.cio.Credentials', 'socket', 0o666, 1000) }),
      /^warning: .* has mode 0666, not 0600 \| chmod 0600 \/run\/x\/io\.cio\.Credentials$/,
    ],
    [
      'a file in place of a socket',
      host({ varlink: seenFile(`${RUN}/io.cio.Credentials`, 'file', 0o666, 0) }),
      /^error: .* is not a socket \| rm -r /,
    ],
    [
      'a LOAD socket that others can reach',
      host({ load: seenFile(`${RUN}/load`, 'socket', 0o666, 0) }),
      /^error: .*\/load has mode 0666, not 0600 \| systemctl restart cio-credentiald-load\.socket$/,
    ],
    [
      'an encrypted LOAD socket that others can reach',
      own({ loadEncrypted: seenFile("/home/o'x/load-encrypted", 'socket', 0o660, 1000) }),
      /^error: .* has mode 0660, not 0600 \| systemctl restart cio-credentiald-load-encrypted\.socket$|chmod 0600 '\/home\/o'\\''x\/load-encrypted'$/,
    ],
    [
      'a socket for probers that others can reach',
      host({ probe: seenFile(`${RUN}/probe`, 'socket', 0o666, SERVICE_UID) }),
      /^error: .*\/probe has mode 0666, not 0600 \| systemctl restart cio-credential-prober\.socket$/,
    ],
    [
      'a socket for probers that is not there',
      host({ probe: { value: undefined } }),
      /^warning: there is no socket .*\/probe \| systemctl enable (\S+) && systemctl restart \1$/,
    ],
    [
      'a socket that was masked, and is not there since the last boot',
      { ...host({ load: { value: undefined } }), systemd: unit('cio-credentiald-load', 'inactive', 'masked').systemd },
      /^warning: there is no socket .*\/load \| systemctl unmask (cio-credentiald-load\.socket) && systemctl enable \1 && systemctl restart \1$/,
    ],
    [
      'a socket that nobody serves, though its file is there',
      unit('cio-credential-prober', 'inactive', 'disabled'),
      /^error: cio-credential-prober\.socket is inactive: nothing listens there \| systemctl enable (\S+) && systemctl restart \1$/,
    ],
    [
      'a socket that was masked',
      unit('cio-credentiald-load', 'inactive', 'masked'),
      /^error: .* \| systemctl unmask (cio-credentiald-load\.socket) && systemctl enable \1 && systemctl restart \1$/,
    ],
    [
      'a socket that is masked until the next boot',
      unit('cio-credentiald-load', 'inactive', 'masked-runtime'),
      /^error: .* \| systemctl unmask --runtime (cio-credentiald-load\.socket) && systemctl enable \1 && systemctl restart \1$/,
    ],
    [
      'a socket that is not there after the next boot',
      unit('cio-credentiald-load', 'active', 'disabled', 'disabled'),
      /^warning: cio-credentiald-load\.socket is not enabled, nor is the service \| systemctl enable --now /,
    ],
    [
      'a LOAD socket that is not there',
      host({ loadEncrypted: { value: undefined } }),
      /^warning: there is no socket .*load-encrypted \| systemctl enable (cio-credentiald-load-encrypted\.socket) && systemctl restart \1$/,
    ],
  ] as const) {
    it(`reports ${what}`, () => {
      const said = told(checkSockets(facts));
      assert.equal(said.length, 1);
      assert.match(said[0] ?? '', expected);
    });
  }

  it('reports each socket that no daemon serves, and the consequence', () => {
    const said = [
      'cio-credentiald',
      'cio-credentiald-load',
      'cio-credentiald-load-encrypted',
      'cio-credential-prober',
    ].map((name) => {
      const { findings } = checkSockets(unit(name, 'failed', 'enabled'));
      return findings.map(({ severity, what, why }) => `${severity}: ${what}; ${why}`).join();
    });
    assert.deepEqual(said, [
      'error: cio-credentiald.socket is failed: nothing listens there; nobody can reach the daemon',
      'error: cio-credentiald-load.socket is failed: nothing listens there; units that load a credential from it do not start',
      'error: cio-credentiald-load-encrypted.socket is failed: nothing listens there;' +
        ' units that load a credential from it do not start',
      'error: cio-credential-prober.socket is failed: nothing listens there; no set of credentials can be validated',
    ]);
  });

  it("expects systemd's sockets only where systemd runs and its daemon is not absent", () => {
    const gone = { load: { value: undefined }, loadEncrypted: { value: undefined }, probe: { value: undefined } };
    const [base, stopped] = [host(gone), unit('cio-credentiald-load', 'inactive', 'disabled')];
    assert.equal(told(checkSockets(base)).length, 3);
    for (const facts of [base, stopped]) {
      assert.deepEqual(told(checkSockets({ ...facts, systemd: { ...facts.systemd, isRunning: false } })), []);
      assert.deepEqual(told(checkSockets({ ...facts, daemon: SILENT.daemon })), []);
    }
    const hangs = { ...SILENT.daemon, isAbsent: false } as Facts['daemon'];
    assert.equal(told(checkSockets({ ...base, daemon: hangs })).length, 3);
    assert.deepEqual(told(checkSockets({ ...stopped, sockets: host({ load: { value: undefined } }).sockets })), [
      'warning: there is no socket /run/cio-credentiald/load' +
        ' | systemctl enable cio-credentiald-load.socket && systemctl restart cio-credentiald-load.socket',
    ]);
    const hidden = checkSockets(host({ load: { unseen: 'for root to see' } }));
    assert.deepEqual([told(hidden), hidden.unseen], [[], ['for root to see']]);
  });

  it("reports only the kind of a file in a socket's place, and suggests chmod without systemd", () => {
    const file = host({ load: seenFile(`${RUN}/load`, 'file', 0o666, 0) });
    assert.deepEqual(told(checkSockets(file)), [
      'error: /run/cio-credentiald/load is not a socket | rm -r /run/cio-credentiald/load',
    ]);
    assert.deepEqual(told(checkSockets(own({ load: seenFile('/run/x/load', 'socket', 0o666, 1000) }))), [
      'error: /run/x/load has mode 0666, not 0600 | chmod 0600 /run/x/load',
    ]);
  });

  it('knows which users may own the folder', () => {
    const by = (uid: number): SocketFacts['folder'] => seenFile('/run/x', 'directory', 0o755, uid);
    const daemon = { ...SILENT.daemon, socket: '/run/x/s' } as Facts['daemon'];
    const silent = (facts: Facts): Facts => ({ ...facts, daemon });
    const mine = { ...host({ folder: by(1000) }), caller: { ...WELL.caller, uid: 1000 } };
    assert.deepEqual(told(checkSockets(silent(mine))), [
      'warning: /run/cio-credentiald/io.cio.Credentials has mode 0666, not 0600 | chmod 0600 /run/cio-credentiald/io.cio.Credentials',
    ]);
    // A folder of the caller's own is wrong where the daemon belongs to somebody else.
    assert.match(told(checkSockets({ ...mine, daemon: answering({ uid: 5 }).daemon })).join(), /belongs to uid 1000$/);
    assert.deepEqual(
      told(checkSockets({ ...host({ folder: by(SERVICE_UID) }), daemon: answering({ uid: 0 }).daemon })),
      [],
    );
    const nowhere = checkSockets(host({ folder: { value: undefined } }));
    assert.deepEqual([told(nowhere), nowhere.unseen], [[], ['the folder of the sockets does not exist']]);
    const hidden = checkSockets(host({ folder: { unseen: 'for root to see' } }));
    assert.deepEqual([told(hidden), hidden.unseen], [[], ['for root to see']]);
  });

  it('says which users a wrong mode keeps out or lets in', () => {
    const why = (facts: Facts): string => checkSockets(facts).findings[0]?.why ?? '';
    assert.match(why(host({ varlink: seenFile('/s', 'socket', 0o600, 0) })), /cannot reach the daemon$/);
    assert.match(why(own({ varlink: seenFile('/s', 'socket', 0o666, 1000) })), /that is yours alone$/);
  });

  it('does not report a stopped socket unit where a daemon that systemd did not start answers', () => {
    const stopped = unit('cio-credentiald', 'inactive', 'enabled');
    const hidden = { ...stopped, process: { unseen: 'for root to see' } };
    const byHand = { ...stopped, process: { value: { ...PROCESS, unit: { value: 'session-2.scope' } } } };
    assert.deepEqual(
      [stopped, hidden, byHand].map((facts) => told(checkSockets(facts)).length),
      [1, 1, 0],
    );
    const load = { ...unit('cio-credentiald-load', 'inactive', 'enabled'), process: byHand.process };
    assert.match(told(checkSockets(load)).join(), /^error: cio-credentiald-load\.socket is inactive/);
  });

  it('suggests reverting a socket unit with the wrong mode where an administrator has changed it', () => {
    const open = {
      varlink: seenFile(`${RUN}/io.cio.Credentials`, 'socket', 0o660, 0),
      load: seenFile(`${RUN}/load`, 'socket', 0o666, 0),
    };
    const fixes = (...properties: readonly (readonly [name: string, value: string])[]): (string | undefined)[] => {
      const units = ['cio-credentiald.socket', 'cio-credentiald-load.socket'];
      const socketUnits = { value: new Map(units.map((name) => [name, new Map(properties)])) };
      return checkSockets({ ...host(open), systemd: { ...SYSTEMD, socketUnits } })
        .findings.filter(({ what }) => what.includes(' has mode '))
        .map(({ fix }) => fix);
    };
    const restart = ['', '-load'].map((name) => `systemctl restart cio-credentiald${name}.socket`);
    const revert = ['', '-load'].map((name, index) => {
      return `systemctl revert cio-credentiald${name}.socket && ${restart[index]}`;
    });
    const fragment = ['FragmentPath', '/usr/lib/systemd/system/x.socket'] as const;
    assert.deepEqual(fixes(), restart);
    assert.deepEqual(fixes(fragment, ['DropInPaths', '']), restart);
    assert.deepEqual(fixes(fragment, ['DropInPaths', '/usr/lib/systemd/system/x.socket.d/etc.conf']), restart);
    assert.deepEqual(fixes(fragment, ['DropInPaths', '/etc/systemd/system/x.socket.d/a.conf']), revert);
    assert.deepEqual(fixes(fragment, ['DropInPaths', '"/run/systemd/system/x.socket.d/a b.conf"']), revert);
    assert.deepEqual(fixes(['FragmentPath', '/etc/systemd/system/x.socket']), revert);
  });

  it('suggests no command of systemd where systemd does not run', () => {
    const facts = host({ varlink: seenFile(`${RUN}/io.cio.Credentials`, 'socket', 0o600, 0) });
    assert.deepEqual(told(checkSockets({ ...facts, systemd: { ...SYSTEMD, isRunning: false } })), [
      `warning: ${RUN}/io.cio.Credentials has mode 0600, not 0666 | chmod 0666 ${RUN}/io.cio.Credentials`,
    ]);
  });

  it('accepts a disabled socket that the enabled service starts', () => {
    assert.deepEqual(told(checkSockets(unit('cio-credentiald-load', 'active', 'disabled'))), []);
  });

  it('measures the path in bytes', () => {
    const atLimit = own({}, `/run/${'ä'.repeat(41)}x`);
    assert.equal(Buffer.byteLength(atLimit.daemon.socket ?? ''), 107);
    assert.deepEqual(told(checkSockets(atLimit)), []);
    const [said = ''] = told(checkSockets(own({}, `/run/${'ä'.repeat(42)}`)));
    assert.match(said, /^error: the path .* is 108 bytes long$/);
  });

  it("accepts either mode for root's own daemon", () => {
    for (const mode of [0o600, 0o666]) {
      const facts = answering(
        { uid: 0 },
        own({ folder: seenFile('/tmp/x', 'directory', 0o755, 0), varlink: seenFile('/tmp/x/s', 'socket', mode, 0) }),
      );
      assert.deepEqual(told(checkSockets(facts)), []);
    }
  });

  it('judges the rest where systemd does not report the state of its sockets', () => {
    const unseen = { service: { unseen: 'hidden' }, socketUnits: { unseen: 'hidden' } };
    const mute = checkSockets({ ...host({ load: { value: undefined } }), systemd: { ...SYSTEMD, ...unseen } });
    assert.deepEqual([told(mute).length, mute.unseen], [1, ['hidden']]);
    assert.deepEqual(told(checkSockets({ ...WELL, systemd: { ...SYSTEMD, socketUnits: { value: new Map() } } })), []);
    const off = unit('cio-credentiald-load', 'inactive', 'disabled');
    const notSeen = checkSockets({ ...off, sockets: host({ load: { unseen: 'for root' } }).sockets });
    assert.deepEqual([told(notSeen), notSeen.unseen], [[], ['for root']]);
    const noSockets = checkSockets({ ...WELL, sockets: { unseen: 'hidden' } });
    assert.deepEqual([told(noSockets), noSockets.unseen], [[], ['hidden']]);
    assert.deepEqual(checkSockets(host({ varlink: { unseen: 'for root' } })).unseen, ['for root']);
  });

  it('skips sockets that are absent or cannot be seen', () => {
    for (const varlink of [{ value: undefined }, { unseen: '/x cannot be read (permission denied)' }]) {
      assert.equal(stateOf(checkSockets(host({ varlink }))), 'skipped');
    }
    assert.equal(
      stateOf(checkSockets({ ...SILENT, daemon: { ...SILENT.daemon, socket: undefined } as never })),
      'skipped',
    );
  });
});
