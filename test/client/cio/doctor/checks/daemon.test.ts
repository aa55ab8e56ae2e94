import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { checkDaemon } from '../../../../../client/cio/doctor/checks/daemon.ts';
import type { Facts, SocketFacts } from '../../../../../client/cio/doctor/facts.ts';
import { stateOf } from '../../../../../client/cio/doctor/verdict.ts';
import { answering, assertWell, PROCESS, SILENT, STORE, SYSTEMD, told, unitFile, WELL } from '../host.ts';

function inUnit(unit: string | undefined): Facts {
  return { ...WELL, process: { value: { ...PROCESS, unit: { value: unit } } } };
}

/** The facts of a well daemon, with one property of its service changed. */
function asSet(name: string, value: string): Facts {
  assert.ok('value' in SYSTEMD.service);
  return { ...WELL, systemd: { ...SYSTEMD, service: { value: new Map([...SYSTEMD.service.value, [name, value]]) } } };
}

/** The given facts, with the daemon's socket elsewhere. */
function at(socket: string, host: Facts): Facts {
  assert.ok(host.daemon.kind === 'answered');
  return { ...host, daemon: { ...host.daemon, socket } };
}

const END =
  ' | kill 100 && tail --pid=100 -f /dev/null' +
  ' && systemctl enable cio-credentiald.socket && systemctl restart cio-credentiald.socket';
const REVERT = 'systemctl revert cio-credentiald.service && systemctl restart cio-credentiald.service';

describe('checkDaemon()', () => {
  it('finds nothing about a healthy daemon', () => {
    assertWell(checkDaemon(WELL));
    // Run by an ordinary user who owns the daemon.
    const mine = answering({ uid: 1000 }, { ...WELL, caller: { ...WELL.caller, uid: 1000 } });
    assert.deepEqual(told(checkDaemon(mine)), []);
    const ofRoot = answering({ uid: 0 }, { ...WELL, caller: { ...WELL.caller, uid: 1000, serviceUid: undefined } });
    assert.deepEqual(told(checkDaemon(ofRoot)), []);
  });

  it('does not judge properties that systemd does not report', () => {
    assertWell(checkDaemon({ ...WELL, systemd: { ...SYSTEMD, service: { value: new Map() } } }));
    assert.deepEqual(told(checkDaemon({ ...inUnit(undefined), systemd: { ...SYSTEMD, isRunning: false } })), []);
    const unseen = checkDaemon({ ...WELL, process: { value: { ...PROCESS, unit: { unseen: 'hidden' } } } });
    assert.deepEqual([told(unseen), unseen.unseen], [[], ['hidden']]);
  });

  it('judges the rest where systemd is not asked, or the store cannot be seen', () => {
    const unseen = { service: { unseen: 'hidden' }, socketUnits: { unseen: 'hidden' } };
    assert.deepEqual(told(checkDaemon({ ...SILENT, systemd: { ...SYSTEMD, ...unseen } })), [
      'error: no daemon | systemctl start cio-credentiald.socket',
    ]);
    const verdict = checkDaemon({ ...WELL, systemd: { ...SYSTEMD, ...unseen } });
    assert.deepEqual([told(verdict), verdict.unseen], [[], ['hidden']]);
    for (const store of [{ unseen: 'hidden' }, { value: { ...STORE, hasSystemdKey: { unseen: 'hidden' } } }]) {
      assert.deepEqual(told(checkDaemon(answering({ locked: true }, { ...WELL, store }))), [
        'error: the store is locked | cio credential unlock',
      ]);
    }
    assert.deepEqual(told(checkDaemon(answering({ locked: true, slots: null }))), [
      'error: the store is locked | cio credential unlock',
    ]);
  });

  it('says why, and how to start or unlock the daemon', () => {
    const why = (host: Facts): string => checkDaemon(host).findings[0]?.why ?? '';
    const elsewhere = { ...SILENT.daemon, socket: '/tmp/x' } as Facts['daemon'];
    assert.match(why({ ...SILENT, daemon: elsewhere }), /do not start; start the daemon$/);
    assert.match(why({ ...SILENT, daemon: { ...elsewhere, hint: undefined } as Facts['daemon'] }), /do not start$/);
    assert.match(why(answering({ locked: true })), /^nothing can be read/);
    const keyless = { ...WELL, store: { value: { ...STORE, hasSystemdKey: { value: false } } } };
    assert.match(why(answering({ locked: true }, keyless)), /^put the file back/);
  });

  for (const [what, host, expected] of [
    ['that is not there', SILENT, 'error: no daemon | systemctl start cio-credentiald.socket'],
    [
      'that is not there, without systemd',
      { ...SILENT, systemd: { ...SYSTEMD, isRunning: false } },
      'error: no daemon',
    ],
    [
      'of somebody that is not there',
      { ...SILENT, daemon: { ...SILENT.daemon, socket: '/run/user/5/io.cio.Credentials' } as Facts['daemon'] },
      'error: no daemon',
    ],
    [
      "of somebody that is not there, where the host's has no key and is masked",
      {
        ...SILENT,
        daemon: { ...SILENT.daemon, socket: '/run/user/5/io.cio.Credentials' } as Facts['daemon'],
        systemd: {
          ...SYSTEMD,
          service: {
            value: new Map([
              ['ExecMainStatus', '243'],
              ['UnitFileState', 'masked'],
            ]),
          },
        },
      },
      'error: no daemon',
    ],
    [
      'that is locked, and whose slots are not of systemd',
      answering(
        { locked: true, slots: [{ id: '1', kind: 'passphrase', created: 1 }] },
        { ...WELL, store: { value: { ...STORE, hasSystemdKey: { value: false } } } },
      ),
      'error: the store is locked | cio credential unlock',
    ],
    [
      'of a stranger, without systemd',
      { ...answering({ uid: 1234 }), systemd: { ...SYSTEMD, isRunning: false } },
      'error: what answers at /run/cio-credentiald/io.cio.Credentials may not be the daemon: it runs as uid 1234, which is' +
        ' neither root, nor the user cio-credentiald, nor you',
    ],
    [
      'of a stranger, somewhere else',
      at('/tmp/x/io.cio.Credentials', answering({ uid: 1234 })),
      'error: what answers at /tmp/x/io.cio.Credentials may not be the daemon: it runs as uid 1234, which is' +
        ' neither root, nor the user cio-credentiald, nor you',
    ],
    [
      'of a stranger that cannot be seen',
      { ...answering({ uid: 1234 }), process: { unseen: 'process 100 is not the daemon here' } },
      'error: what answers at /run/cio-credentiald/io.cio.Credentials may not be the daemon: it runs as uid 1234, which is' +
        ' neither root, nor the user cio-credentiald, nor you | systemctl restart cio-credentiald.socket',
    ],
    ['that nobody ever watches', asSet('WatchdogUSec', 'infinity'), `warning: the service has no watchdog | ${REVERT}`],
    [
      'started by hand, whatever its unit says',
      { ...inUnit('session-2.scope'), systemd: asSet('Restart', 'no').systemd },
      'warning: the daemon runs in session-2.scope, not in cio-credentiald.service' + END,
    ],
    [
      'that does not answer',
      { ...SILENT, daemon: { ...SILENT.daemon, isAbsent: false } as Facts['daemon'] },
      'error: no daemon | systemctl restart cio-credentiald.service',
    ],
    [
      'that may not be started',
      { ...SILENT, systemd: { ...SYSTEMD, service: { value: new Map([['UnitFileState', 'masked']]) } } },
      'error: no daemon, and cio-credentiald.service is masked' +
        ' | systemctl unmask cio-credentiald.service && systemctl start cio-credentiald.socket',
    ],
    [
      'that may not be started before the next boot, nor by its socket ever',
      {
        ...SILENT,
        systemd: {
          ...SYSTEMD,
          service: { value: new Map([['UnitFileState', 'masked-runtime']]) },
          socketUnits: { value: new Map([['cio-credentiald.socket', new Map([['UnitFileState', 'masked']])]]) },
        },
      },
      'error: no daemon, and cio-credentiald.service is masked' +
        ' | systemctl unmask --runtime cio-credentiald.service && systemctl unmask cio-credentiald.socket' +
        ' && systemctl start cio-credentiald.socket',
    ],
    ...['activating', 'failed'].map(
      (state) =>
        [
          `that systemd cannot start (${state})`,
          {
            ...asSet('ActiveState', state),
            daemon: { ...SILENT.daemon, isAbsent: false } as Facts['daemon'],
          },
          'error: no daemon | journalctl -u cio-credentiald.service -n 20',
        ] as const,
    ),
    ...['active', 'deactivating'].map(
      (state) =>
        [
          `that hangs (${state})`,
          { ...asSet('ActiveState', state), daemon: { ...SILENT.daemon, isAbsent: false } as Facts['daemon'] },
          'error: no daemon | systemctl restart cio-credentiald.service',
        ] as const,
    ),
    [
      'that was not asked at a socket',
      { ...SILENT, daemon: { ...SILENT.daemon, socket: undefined } as Facts['daemon'] },
      'error: no daemon',
    ],
    [
      'that failed, and whose socket was stopped then',
      { ...asSet('ActiveState', 'failed'), daemon: SILENT.daemon },
      'error: no daemon | systemctl start cio-credentiald.socket',
    ],
    [
      'one of whose sockets may not be started',
      {
        ...SILENT,
        systemd: {
          ...SYSTEMD,
          socketUnits: { value: new Map([['cio-credentiald.socket', new Map([['UnitFileState', 'masked']])]]) },
        },
      },
      'error: no daemon, and cio-credentiald.socket is masked' +
        ' | systemctl unmask cio-credentiald.socket && systemctl start cio-credentiald.socket',
    ],
    [
      'whose key systemd cannot decrypt',
      { ...SILENT, systemd: { ...SYSTEMD, service: { value: new Map([['ExecMainStatus', '243']]) } } },
      'error: systemd cannot decrypt the key of the store, and so cannot start the daemon' +
        ' | mv /etc/credstore.encrypted/cio-credentiald.root-key /root/ && systemctl restart cio-credentiald.service' +
        ' && cio credential unlock --recovery',
    ],
    [
      'of a stranger',
      answering({ uid: 1234 }),
      'error: what answers at /run/cio-credentiald/io.cio.Credentials may not be the daemon: it runs as uid 1234, which is' +
        ' neither root, nor the user cio-credentiald, nor you | systemctl restart cio-credentiald.socket',
    ],
    [
      'of another version',
      answering({ version: '0.9.0' }),
      'warning: cio is version 1.0.0, the daemon 0.9.0 | systemctl restart cio-credentiald.service',
    ],
    ['that is locked', answering({ locked: true }), 'error: the store is locked | cio credential unlock'],
    [
      'that is locked since the key of its slot is gone',
      answering({ locked: true }, { ...WELL, store: { value: { ...STORE, hasSystemdKey: { value: false } } } }),
      'error: the store is locked, and the key with which systemd opens it is gone:' +
        ' /etc/credstore.encrypted/cio-credentiald.root-key | cio credential unlock',
    ],
    [
      'that systemd keeps few connections for',
      asSet('FileDescriptorStoreMax', '0'),
      `error: systemd keeps 0 connections across a crash of the daemon, not 128 | ${REVERT}`,
    ],
    [
      'that systemd gives up after some crashes',
      asSet('StartLimitIntervalUSec', '10s'),
      `warning: systemd gives up on the daemon when it crashes several times in a row | ${REVERT}`,
    ],
    [
      'that is not started again',
      asSet('Restart', 'no'),
      `warning: the service has Restart=no, not always | ${REVERT}`,
    ],
    ['that nobody watches', asSet('WatchdogUSec', '0'), `warning: the service has no watchdog | ${REVERT}`],
    [
      'started by hand',
      inUnit('session-2.scope'),
      'warning: the daemon runs in session-2.scope, not in cio-credentiald.service' + END,
    ],
    ['in no unit', inUnit(undefined), 'warning: the daemon was started by hand' + END],
  ] as const) {
    it(`reports a daemon ${what}`, () => assert.deepEqual(told(checkDaemon(host)), [expected]));
  }

  it('moves the key away only if it cannot be decrypted, where another credential may have failed', () => {
    const failing = (dropIns: Facts['systemd']['dropIns'], FragmentPath = '/usr/lib/x.service'): Facts => {
      const service = new Map([
        ['ExecMainStatus', '243'],
        ['FragmentPath', FragmentPath],
      ]);
      return { ...SILENT, systemd: { ...SYSTEMD, service: { value: service }, dropIns } };
    };
    const dropIn = (...assignments: readonly (readonly [key: string, value: string])[]): Facts => {
      const file = unitFile('cio-credentiald.service', ...assignments);
      return failing({ value: [{ ...file, path: '/etc/a.conf', isDropIn: true }] });
    };
    const inUnitSection = { section: 'Unit', key: 'LoadCredential', value: 'ignored:/gone' };
    for (const [host, others] of [
      [dropIn(['LoadCredential', 'other:/gone']), 'LoadCredential=other in /etc/a.conf'],
      [dropIn(['SetCredentialEncrypted', 'other:canary']), 'SetCredentialEncrypted=other in /etc/a.conf'],
      [
        dropIn(['LoadCredentialEncrypted', 'cio-credentiald.root-key:/gone'], ['ImportCredential', 'other.*']),
        'LoadCredentialEncrypted=cio-credentiald.root-key in /etc/a.conf, ImportCredential=other.* in /etc/a.conf',
      ],
      [
        failing({ unseen: '/etc/a.conf cannot be read (permission denied)' }),
        '/etc/a.conf cannot be read (permission denied)',
      ],
      [failing({ value: [] }, '/etc/systemd/system/x.service'), '/etc/systemd/system/x.service'],
    ] as const) {
      const { findings } = checkDaemon(host);
      assert.equal(
        findings[0]?.why,
        `either the key is bound to this host and its TPM, and one has changed, or one that was added fails: ${others}`,
      );
      assert.deepEqual(told({ findings, unseen: [] }), [
        'error: systemd cannot set up the credentials of the daemon, and so cannot start it' +
          ' | journalctl -u cio-credentiald.service -n 20;' +
          ' systemd-creds decrypt /etc/credstore.encrypted/cio-credentiald.root-key - > /dev/null' +
          ' || (mv /etc/credstore.encrypted/cio-credentiald.root-key /root/ && systemctl restart cio-credentiald.service' +
          ' && cio credential unlock --recovery)',
      ]);
    }
    for (const host of [
      dropIn(['LoadCredential', ''], ['SetCredential', 'x:y'], ['LoadCredentialEncrypted', 'cio-credentiald.root-key']),
      // Each empty value clears a list that another setting fills, too.
      dropIn(
        ['LoadCredential', 'other:/gone'],
        ['SetCredentialEncrypted', 'other:canary'],
        ['ImportCredential', 'other.*'],
        ['LoadCredentialEncrypted', ''],
        ['SetCredential', ''],
        ['ImportCredential', ''],
      ),
      failing({ value: [{ ...unitFile('cio-credentiald.service'), assignments: [inUnitSection] }] }),
    ]) {
      assert.match(told(checkDaemon(host)).join(), /^error: systemd cannot decrypt the key of the store/);
    }
  });

  it("reports a process that answers in the daemon's place but does not hold its socket", () => {
    assert.ok('value' in WELL.sockets);
    const sockets = { value: { ...WELL.sockets.value, isHeldByDaemon: { value: false } } };
    const [said = ''] = told(checkDaemon({ ...WELL, sockets }));
    assert.match(said, /^error: what answers .* may not be the daemon: process 100 does not hold its socket/);
  });

  it('does not pass where the process cannot be seen', () => {
    const host = { ...WELL, process: { unseen: 'process 100 is not the daemon here' } };
    const verdict = checkDaemon(host);
    assert.deepEqual([stateOf(verdict), verdict.unseen.length], ['skipped', 1]);
  });

  it("does not suggest restarting the host's service for a user's own daemon of another version", () => {
    const host = answering({ version: '0.9.0' }, inUnit('user@1000.service'));
    assert.ok(host.daemon.kind === 'answered');
    const daemon = { ...host.daemon, socket: '/run/user/1000/cio-credentiald/io.cio.Credentials' };
    assert.deepEqual(told(checkDaemon({ ...host, daemon })), ['warning: cio is version 1.0.0, the daemon 0.9.0']);
  });

  it('does not suggest killing a process that may not be the daemon, or that belongs to another unit', () => {
    assert.ok('value' in WELL.sockets);
    const { value } = WELL.sockets;
    const sockets = (isHeldByDaemon: SocketFacts['isHeldByDaemon']): Facts => {
      return { ...inUnit('session-2.scope'), sockets: { value: { ...value, isHeldByDaemon } } };
    };
    for (const host of [
      sockets({ value: false }),
      sockets({ unseen: 'for root to see' }),
      { ...inUnit(undefined), sockets: { unseen: 'hidden' } },
      inUnit('ssh.service'),
      inUnit('user@1000.service'),
    ]) {
      const [said = ''] = told(checkDaemon(host)).slice(-1);
      assert.match(said, /^warning: the daemon (?:was started by hand|runs in \S+, not in cio-credentiald\.service)$/);
    }
  });

  it('accepts a daemon that was started by hand with a socket elsewhere', () => {
    const host = inUnit(undefined);
    assert.ok(host.daemon.kind === 'answered');
    const daemon = { ...host.daemon, socket: '/tmp/run/io.cio.Credentials' };
    assert.deepEqual(told(checkDaemon({ ...host, daemon })), []);
  });
});
