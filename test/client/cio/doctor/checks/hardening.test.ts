import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { checkHardening } from '../../../../../client/cio/doctor/checks/hardening.ts';
import type { Facts, ProcessFacts, SystemdFacts } from '../../../../../client/cio/doctor/facts.ts';
import { stateOf } from '../../../../../client/cio/doctor/verdict.ts';
import { assertWell, PROCESS, SILENT, SYSTEMD, told, unitFile, WELL } from '../host.ts';

function process(changed: Partial<ProcessFacts>): Facts {
  return { ...WELL, process: { value: { ...PROCESS, ...changed } } };
}

function systemd(changed: Partial<SystemdFacts>): Facts {
  return { ...WELL, systemd: { ...SYSTEMD, ...changed } };
}

describe('checkHardening()', () => {
  it('has nothing to say of a daemon in its sandbox', () => {
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
      /^warning: \/etc\/.* hides the unit of the package/,
    ],
  ] as const) {
    it(`tells of ${what}`, () => {
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
    it(`${isLoose ? 'tells of' : 'lets pass'} a drop-in with ${setting}=${value}`, () => {
      const dropIn = { ...unitFile('cio-credentiald.service', [setting, value]), path: '/etc/x.d/my file.conf' };
      const said = told(checkHardening(systemd({ dropIns: { value: [dropIn] } })));
      const mend =
        "rm -f '/etc/x.d/my file.conf' && systemctl daemon-reload && systemctl restart cio-credentiald.service";
      assert.deepEqual(said, isLoose ? [`warning: /etc/x.d/my file.conf loosens ${setting} | ${mend}`] : []);
    });
  }

  it('knows what is on in the unit, and lets pass what says so again', () => {
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

  it('lets a unit in /etc be where the package has none, and finds a capability among zeros', () => {
    const service = { value: new Map([['FragmentPath', '/etc/systemd/system/cio-credentiald.service']]) };
    assert.deepEqual(told(checkHardening(systemd({ service, hasPackagedUnit: false }))), []);
    for (const mask of ['0000000000000100', undefined]) {
      assert.equal(told(checkHardening(process({ effectiveCapabilities: mask }))).length, 1);
    }
  });

  it('says that systemd may not be able to make a network, where it was asked for one', () => {
    const facts = process({ hasOwnNetwork: { value: false } });
    const asking = { ...SYSTEMD, service: { value: new Map([['PrivateNetwork', 'yes']]) } };
    const [[first], [second], [third]] = [
      checkHardening(facts).findings,
      checkHardening({ ...facts, systemd: asking }).findings,
      checkHardening({ ...facts, systemd: { ...SYSTEMD, service: { unseen: 'hidden' } } }).findings,
    ];
    assert.deepEqual(
      [first, second, third].map((finding) => [
        /may not make any/.test(finding?.why ?? ''),
        finding?.mend?.split(' ')[1],
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
      [process({ hasOwnNetwork: { unseen: '/proc/100/ns/net is for root to see' } }), /for root/],
      [process({ unit: { value: 'session-1.scope' } }), /does not run in cio-credentiald\.service/],
      [process({ unit: { value: 'user@1000.service' } }), /^the daemon is one of a user's own/],
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
