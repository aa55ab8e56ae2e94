import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { checkHardening } from '../../../../../client/cio/doctor/checks/hardening.ts';
import type { Facts, ProcessFacts, SystemdFacts } from '../../../../../client/cio/doctor/facts.ts';
import type { UnitFile } from '../../../../../client/cio/doctor/unit-file.ts';
import { stateOf } from '../../../../../client/cio/doctor/verdict.ts';
import { answering, assertWell, PROCESS, SILENT, SYSTEMD, told, unitFile, WELL } from '../host.ts';

const FOLDER = '/etc/systemd/system/cio-credentiald.service.d';

function process(changed: Partial<ProcessFacts>): Facts {
  return { ...WELL, process: { value: { ...PROCESS, ...changed } } };
}

function systemd(changed: Partial<SystemdFacts>): Facts {
  return { ...WELL, systemd: { ...SYSTEMD, ...changed } };
}

describe('checkHardening()', () => {
  it('finds nothing about a daemon in its sandbox', () => {
    assertWell(checkHardening(WELL));
  });

  for (const [what, facts, expected] of [
    ['root', process({ uids: [990, 0, 990, 990] }), /^error: the daemon runs as root \| systemctl revert/],
    ['privileges to gain', process({ noNewPrivileges: '0' }), /^error: NoNewPrivs/],
    ['no word on privileges', process({ noNewPrivileges: undefined }), /^error: NoNewPrivs/],
    ['no system call filter', process({ seccomp: '0' }), /^error: no system call filter/],
    ['capabilities', process({ effectiveCapabilities: '00000000a80425fb' }), /^error: the daemon has capabilities/],
    ['capabilities to get', process({ boundingCapabilities: '000001ffffffffff' }), /^error: the daemon has capabil/],
    ["the host's network", process({ hasOwnNetwork: { value: false } }), /^error: the daemon has the network/],
    [
      'a network that systemd could not make',
      {
        ...process({ hasOwnNetwork: { value: false } }),
        systemd: { ...SYSTEMD, service: { value: new Map([['PrivateNetwork', 'yes']]) } },
      },
      /^error: the daemon has the network of the host \| systemctl restart cio-credentiald\.service$/,
    ],
    [
      'files that systemd has not read',
      systemd({ service: { value: new Map([['NeedDaemonReload', 'yes']]) } }),
      /^warning: the files .* \| systemctl daemon-reload && systemctl restart cio-credentiald\.service$/,
    ],
    [
      'a copy in /etc',
      systemd({ service: { value: new Map([['FragmentPath', '/etc/systemd/system/cio-credentiald.service']]) } }),
      /^warning: \/etc\/.* overrides the unit of the package/,
    ],
  ] as const) {
    it(`reports ${what}`, () => {
      const said = told(checkHardening(facts));
      assert.equal(said.length, 1, said.join('\n'));
      assert.match(said[0] ?? '', expected);
    });
  }

  for (const [setting, value, isLoose] of [
    ['PrivateNetwork', 'no', true],
    ['PrivateNetwork', 'yes', false],
    ['NoNewPrivileges', 'false', true],
    ['ProtectSystem', '', true],
    ['ProtectSystem', 'strict', false],
    ['SystemCallFilter', '', true],
    ['SystemCallFilter', '@debug', true],
    ['SystemCallFilter', '~@mount', false],
    ['CapabilityBoundingSet', 'CAP_SYS_ADMIN', true],
    ['CapabilityBoundingSet', '', false],
    ['RestrictAddressFamilies', 'AF_UNIX AF_INET', true],
    ['RestrictAddressFamilies', 'AF_UNIX', false],
    ['LimitCORE', 'infinity', true],
    ['LimitCORE', '0', false],
    ['MemorySwapMax', 'infinity', true],
    ['ProtectSystem', 'full', true],
    ['ProtectHome', 'read-only', true],
    ['ProtectHome', 'yes', false],
    ['RestrictNamespaces', '~user', true],
    ['RestrictNamespaces', 'yes', false],
    ['ReadWritePaths', '/', true],
    ['ReadWritePaths', '', false],
    ['BindPaths', '/srv', true],
    ['ExecPaths', '/', true],
    ['NoExecPaths', '', true],
    ['NoExecPaths', '/srv', false],
    ['InaccessiblePaths', '', true],
    ['DevicePolicy', 'auto', true],
    ['DeviceAllow', '/dev/mem', true],
    ['SupplementaryGroups', 'disk', true],
    ['UMask', '0022', true],
    ['UMask', '077', false],
    ['UMask', '0177', false],
    ['UMask', '0067', true],
    ['UMask', '', true],
    ['StateDirectoryMode', '0755', true],
    ['StateDirectoryMode', '0500', false],
    ['NotifyAccess', 'all', true],
    ['ExecStart', '+/usr/lib/cio-credentiald/bin/cio-credentiald --system', true],
    ['ExecStart', '/usr/lib/cio-credentiald/bin/cio-credentiald --system --validate-every off', false],
    ['User', 'root', true],
    ['User', 'another', false],
    ['Environment', 'X=1', false],
    ['AmbientCapabilities', 'CAP_KILL', true],
    ['IPAddressAllow', 'any', true],
    ['IPAddressDeny', '', true],
    ['IPAddressDeny', 'any', false],
    ['KeyringMode', 'shared', true],
    ['KeyringMode', 'private', false],
    ['SystemCallArchitectures', 'native x86', true],
    ['SystemCallArchitectures', 'native', false],
    ['ProtectHome', 'tmpfs', false],
    ['ProtectHome', 'yess', true],
    ['StateDirectoryMode', 'x0700', true],
    ['UMask', '0077x', true],
    ['ExecStart', '/bin/x +y', false],
    ['ExecStart', '-@!/bin/x', true],
    ['User', '0', true],
    ['User', '', true],
  ] as const) {
    it(`${isLoose ? 'reports' : 'accepts'} a drop-in with ${setting}=${value}`, () => {
      const dropIn = { ...unitFile('cio-credentiald.service', [setting, value]), path: `${FOLDER}/my file.conf` };
      const said = told(checkHardening(systemd({ dropIns: { value: [dropIn] } })));
      const fix = `rm -f '${FOLDER}/my file.conf' && systemctl daemon-reload && systemctl restart cio-credentiald.service`;
      assert.deepEqual(said, isLoose ? [`warning: ${FOLDER}/my file.conf loosens ${setting} | ${fix}`] : []);
    });
  }

  describe('with a drop-in that moves the store', () => {
    const EDIT = '"${EDITOR:-vi}"';
    const RELOAD = 'systemctl daemon-reload && systemctl restart cio-credentiald.service';
    const moving = (...assignments: Parameters<typeof unitFile>[1][]): UnitFile => {
      return { ...unitFile('cio-credentiald.service', ...assignments), path: `${FOLDER}/move.conf`, isDropIn: true };
    };
    const moved = (stateDirectory: string, dropIn: UnitFile): Facts =>
      answering({ stateDirectory }, systemd({ dropIns: { value: [dropIn] } }));

    for (const [key, value, isLoose] of [
      ['ReadWritePaths', '/srv/store', false],
      ['ReadWritePaths', '-/srv/store/ +/srv/store', false],
      ['ReadWritePaths', '/srv/store /srv', true],
      ['ReadWritePaths', '/srv', true],
      ['BindPaths', '/mnt/a:/srv/store', false],
      ['BindPaths', '-/mnt/a:/srv/store:norbind', false],
      ['BindPaths', '/srv/store:/mnt/a', true],
      ['ExecPaths', '/srv/store', true],
    ] as const) {
      it(`${isLoose ? 'reports' : 'accepts'} ${key}=${value}`, () => {
        const said = told(checkHardening(moved('/srv/store', moving([key, value]))));
        assert.deepEqual(
          said.map((each) => each.split(' | ')[0]),
          isLoose ? [`warning: ${FOLDER}/move.conf loosens ${key}`] : [],
        );
      });
    }

    it('assumes the default state directory where the daemon does not report one', () => {
      const dropIns = { value: [moving(['BindPaths', '/srv/store:/var/lib/cio-credentiald'])] };
      for (const facts of [systemd({ dropIns }), answering({ stateDirectory: null }, systemd({ dropIns }))]) {
        assert.deepEqual(told(checkHardening(facts)), []);
      }
    });

    for (const [key, value, isMoving] of [
      ['ExecStart', '/usr/sbin/cio-credentiald --system --state-dir /srv/store', true],
      ['Environment', 'CIO_STATE_DIR', true],
      ['BindPaths', '/srv/store:/var/lib/cio-credentiald', true],
      ['BindPaths', '/srv/store:/var/lib/cio-credentiald:norbind', true],
      ['BindPaths', '/srv/store:/var/lib/cio-credentiald2', false],
      ['Environment', 'CIO_RUNTIME_DIR', false],
    ] as const) {
      it(`suggests ${isMoving ? 'editing' : 'removing'} a drop-in with ${key}=${value}`, () => {
        const dropIn = moving([key, value], ['UMask', '0022']);
        const facts = systemd({ dropIns: { value: [dropIn] } });
        const fix = isMoving ? `${EDIT} ${dropIn.path} && ${RELOAD}` : `rm -f ${dropIn.path} && ${RELOAD}`;
        assert.equal(told(checkHardening(facts))[0]?.split(' | ')[1], fix);
        const [unsafe] = checkHardening({
          ...facts,
          ...process({ noNewPrivileges: '0' }),
          systemd: facts.systemd,
        }).findings;
        const revert = 'systemctl revert cio-credentiald.service && systemctl restart cio-credentiald.service';
        assert.equal(unsafe?.fix, isMoving ? fix : revert);
      });
    }

    it("suggests editing all of the administrator's files where the store has been moved", () => {
      const FragmentPath = '/etc/systemd/system/cio-credentiald.service';
      const facts = (path: string, dropIns: readonly UnitFile[]): Facts => {
        const service = { value: new Map([['FragmentPath', path]]) };
        return answering({ stateDirectory: '/srv/store' }, systemd({ service, dropIns: { value: dropIns } }));
      };
      const fixOf = (host: Facts): string | undefined =>
        checkHardening({ ...host, ...process({ noNewPrivileges: '0' }), daemon: host.daemon, systemd: host.systemd })
          .findings[0]?.fix;
      const other = {
        ...unitFile('cio-credentiald.service', ['Nice', '1']),
        path: `${FOLDER}/a b.conf`,
        isDropIn: true,
      };
      assert.equal(fixOf(facts(FragmentPath, [other])), `${EDIT} ${FragmentPath} '${FOLDER}/a b.conf' && ${RELOAD}`);
      assert.equal(fixOf(facts('/usr/lib/x.service', [other])), `${EDIT} '${FOLDER}/a b.conf' && ${RELOAD}`);
      assert.match(fixOf(facts('/usr/lib/x.service', [])) ?? '', /^systemctl revert /);
      const move = moving(['Environment', 'CIO_STATE_DIR']);
      const untold = (dropIns: readonly UnitFile[]): Facts =>
        answering({ stateDirectory: null }, systemd({ dropIns: { value: dropIns } }));
      assert.match(fixOf(untold([other])) ?? '', /^systemctl revert /);
      assert.equal(fixOf(untold([other, move])), `${EDIT} '${FOLDER}/a b.conf' ${FOLDER}/move.conf && ${RELOAD}`);
    });
  });

  for (const [path, isOwn] of [
    ['/etc/systemd/system/cio-credentiald.service.d/x.conf', true],
    ['/etc/systemd/system.control/cio-credentiald.service.d/x.conf', true],
    ['/run/systemd/system/cio-credentiald.service.d/x.conf', true],
    ['/etc/systemd/system/service.d/x.conf', false],
    ['/run/systemd/system/cio-.service.d/x.conf', false],
    ['/usr/lib/systemd/system/cio-credentiald.service.d/x.conf', false],
    ['/usr/etc/systemd/system/cio-credentiald.service.d/x.conf', false],
  ] as const) {
    it(`suggests ${isOwn ? 'removing' : 'masking for this unit only'} ${path}`, () => {
      const dropIn = { ...unitFile('cio-credentiald.service', ['UMask', '0']), path, isDropIn: true };
      const [said = ''] = told(checkHardening(systemd({ dropIns: { value: [dropIn] } })));
      const fix = isOwn ? `rm -f ${path}` : `mkdir -p ${FOLDER} && ln -s /dev/null ${FOLDER}/x.conf`;
      assert.equal(
        said.split(' | ')[1],
        `${fix} && systemctl daemon-reload && systemctl restart cio-credentiald.service`,
      );
    });
  }

  it('knows which settings are on in the unit, and accepts a drop-in that repeats them', () => {
    for (const setting of [
      'LockPersonality',
      'PrivateDevices',
      'PrivateIPC',
      'PrivateMounts',
      'PrivateTmp',
      'ProtectClock',
      'ProtectControlGroups',
      'ProtectHostname',
      'ProtectKernelLogs',
      'ProtectKernelModules',
      'ProtectKernelTunables',
      'RemoveIPC',
      'RestrictRealtime',
      'RestrictSUIDSGID',
    ]) {
      const loosened = (value: string): string[] =>
        told(checkHardening(systemd({ dropIns: { value: [unitFile('cio-credentiald.service', [setting, value])] } })));
      assert.deepEqual([loosened('no').length, loosened('yes').length, loosened('offf').length], [1, 0, 0], setting);
    }
    const assignments = [{ section: 'X-Service', key: 'User', value: 'root' }];
    const elsewhere = { ...unitFile('cio-credentiald.service'), assignments };
    assert.deepEqual(told(checkHardening(systemd({ dropIns: { value: [elsewhere] } }))), []);
  });

  it('accepts what a later drop-in takes back', () => {
    const loosened = (...values: readonly (readonly [key: string, value: string])[]): string[] => {
      const dropIns = values.map((assignment, index) => ({
        ...unitFile('cio-credentiald.service', assignment),
        path: `/etc/${index}.conf`,
      }));
      const said = told(checkHardening(systemd({ dropIns: { value: dropIns } })));
      return said.map((each) => each.replace(/^warning: (.*) \| .*$/, '$1'));
    };
    assert.deepEqual(loosened(['ProtectHome', 'no'], ['ProtectHome', 'yes']), []);
    assert.deepEqual(loosened(['ProtectHome', 'yes'], ['ProtectHome', 'no']), ['/etc/1.conf loosens ProtectHome']);
    assert.deepEqual(loosened(['ProtectHome', 'no'], ['UMask', '0077']), ['/etc/0.conf loosens ProtectHome']);
    assert.deepEqual(loosened(['PrivateTmp', 'no'], ['PrivateTmp', 'yes']), []);
    assert.deepEqual(loosened(['PrivateTmp', 'no'], ['PrivateTmp', 'yess']), ['/etc/0.conf loosens PrivateTmp']);
    assert.deepEqual(loosened(['PrivateTmp', 'no'], ['PrivateTmp', '']), ['/etc/1.conf loosens PrivateTmp']);
    assert.deepEqual(loosened(['BindPaths', '/a'], ['BindPaths', '']), []);
    assert.deepEqual(loosened(['BindPaths', '/a'], ['ExecPaths', ''], ['BindPaths', '/b']), [
      '/etc/0.conf loosens BindPaths',
      '/etc/2.conf loosens BindPaths',
    ]);
    assert.deepEqual(loosened(['IPAddressDeny', ''], ['IPAddressDeny', '']), ['/etc/1.conf loosens IPAddressDeny']);
  });

  it('accepts a unit in /etc where the package has none, and finds a single capability bit', () => {
    const service = { value: new Map([['FragmentPath', '/etc/systemd/system/cio-credentiald.service']]) };
    assert.deepEqual(told(checkHardening(systemd({ service, hasPackagedUnit: false }))), []);
    for (const mask of ['0000000000000100', undefined]) {
      assert.equal(told(checkHardening(process({ effectiveCapabilities: mask }))).length, 1);
    }
  });

  it('says that systemd may be unable to make a network namespace, where the unit asks for one', () => {
    const facts = process({ hasOwnNetwork: { value: false } });
    const asking = { ...SYSTEMD, service: { value: new Map([['PrivateNetwork', 'yes']]) } };
    const [[first], [second], [third]] = [
      checkHardening(facts).findings,
      checkHardening({ ...facts, systemd: asking }).findings,
      checkHardening({ ...facts, systemd: { ...SYSTEMD, service: { unseen: 'hidden' } } }).findings,
    ];
    assert.deepEqual(
      [first, second, third].map((finding) => [
        /cannot create one here/.test(finding?.why ?? ''),
        finding?.fix?.split(' ')[1],
      ]),
      [
        [false, 'revert'],
        [true, 'restart'],
        [false, 'revert'],
      ],
    );
  });

  it('never passes what it could not see', () => {
    for (const [facts, reason] of [
      [SILENT, /does not answer/],
      [
        process({ hasOwnNetwork: { unseen: '/proc/100/ns/net cannot be read (permission denied)' } }),
        /permission denied/,
      ],
      [process({ unit: { value: 'session-1.scope' } }), /does not run in cio-credentiald\.service/],
      [process({ unit: { value: 'user@1000.service' } }), /^the daemon is a user's own/],
      [process({ unit: { unseen: 'gone' } }), /gone/],
      [systemd({ service: { unseen: 'there is no command systemctl' } }), /no command systemctl/],
      [systemd({ dropIns: { unseen: 'cannot be read' } }), /cannot be read/],
    ] as const) {
      const verdict = checkHardening(facts);
      assert.equal(stateOf(verdict), 'skipped');
      assert.match(verdict.unseen.join(), reason);
    }
  });
});
