import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { checkUnits } from '../../../../../client/cio/doctor/checks/units.ts';
import type { Facts, ScannedFile, StoredNames } from '../../../../../client/cio/doctor/facts.ts';
import { stateOf } from '../../../../../client/cio/doctor/verdict.ts';
import type { Grantee } from '../../../../../src/protocol/interface.generated.ts';
import { answering, assertWell, SILENT, SYSTEMD, told, unitFile, unitScan, WELL } from '../host.ts';

const LOAD = '/run/cio-credentiald/load';

function credential(name: string, grants: readonly Grantee[] = [], set: string | null = null, owner = 0) {
  return { name, owner, changed: 1, set, grants };
}

function set(name: string, grants: readonly Grantee[] = [], missing: readonly string[] = []) {
  return { set: name, owner: 0, ready: missing.length === 0, missing, grants };
}

function host(
  files: readonly ScannedFile[],
  stored: Partial<StoredNames> = {},
  instances: readonly string[] = [],
): Facts {
  assert.ok(WELL.daemon.kind === 'answered');
  const list = { value: { credentials: [], sets: [], ...stored } };
  return { ...WELL, daemon: { ...WELL.daemon, list }, units: unitScan(files, instances) };
}

function loading(unit: string, ...ids: readonly string[]): ScannedFile {
  return unitFile(unit, ...ids.map((id) => ['LoadCredential', `${id}:${LOAD}`] as const));
}

/** The same, where a user's own daemon answers. */
function elsewhere(facts: Facts): Facts {
  assert.ok(facts.daemon.kind === 'answered');
  return { ...facts, daemon: { ...facts.daemon, socket: '/run/user/1000/cio-credentiald/io.cio.Credentials' } };
}

const PASSWORD = 'cio_aws_backup_password';

describe('checkUnits()', () => {
  for (const [what, facts, expected] of [
    [
      'a unit that it was granted to',
      host([loading('r.service', PASSWORD)], { credentials: [credential(PASSWORD, [{ unit: 'r.service' }])] }),
      [],
    ],
    [
      'a unit that the set was granted to',
      host([loading('r.service', PASSWORD)], {
        credentials: [credential(PASSWORD, [], 'aws')],
        sets: [set('aws', [{ unit: 'r.service' }])],
      }),
      [],
    ],
    ['a unit that loads from another daemon', elsewhere(host([loading('r.service', PASSWORD)])), []],
    [
      "a unit of the host that loads from the host's daemon, where another one answers",
      elsewhere(host([unitFile('r.service', ['LoadCredential', `${PASSWORD}:%t/cio-credentiald/load`])])),
      [],
    ],
    [
      'settings and sections of other names',
      host([
        unitFile('r.service', ['LoadCredentialX', `a:${LOAD}`], ['SetLoadCredential', `b:${LOAD}`]),
        { ...unitFile('s.service'), assignments: [{ section: 'Services', key: 'LoadCredential', value: `c:${LOAD}` }] },
      ]),
      [],
    ],
    [
      'a template that nothing starts, granted to an instance',
      host([loading('r@.service', 'token')], { credentials: [credential('token', [{ unit: 'r@home.service' }])] }),
      [],
    ],
    [
      'a template that nothing starts, granted to an instance of another',
      host([loading('r@.service', 'token')], { credentials: [credential('token', [{ unit: 'x@home.service' }])] }),
      ['hint: r@.service loads token, which was not granted to it | cio credential grant token --unit r@.service'],
    ],
    [
      'a set of which the unit waits for what it lacks, granted field by field',
      host([loading('r.service', 'aws.env')], {
        credentials: [credential('cio_aws_region', [{ unit: 'r.service', missing: 'block' }], 'aws')],
        sets: [set('aws', [], ['x'])],
      }),
      ['hint: r.service loads aws.env: set aws lacks x | cio credential create cio_aws_x'],
    ],
    [
      'an instance that its template was granted to',
      host([loading('r@.service', 'token')], { credentials: [credential('token', [{ unit: 'r@.service' }])] }, [
        'r@home.service',
      ]),
      [],
    ],
    [
      'a unit that it was not granted to',
      host([loading('r.service', 'token')], {
        credentials: [credential('token', [{ unit: 'other.service' }, { uid: 3 }])],
      }),
      ['error: r.service loads token, which was not granted to it | cio credential grant token --unit r.service'],
    ],
    [
      'an instance that another one has it',
      host([loading('r@.service', 'token')], { credentials: [credential('token', [{ unit: 'r@work.service' }])] }, [
        'r@home.service',
        'r@work.service',
      ]),
      [
        'error: r@home.service loads token, which was not granted to it' +
          ' | cio credential grant token --unit r@home.service',
      ],
    ],
    [
      "a credential of a user's own, whatever was granted",
      host([loading('r.service', 'token')], {
        credentials: [credential('token', [{ unit: 'r.service' }], null, 1000)],
      }),
      [
        'warning: r.service loads token: there is no shared credential token' +
          ' | cio credential create token && cio credential grant token --unit r.service',
      ],
    ],
    [
      "a set of a user's own, and a credential beside it",
      host([loading('r.service', 'aws.env')], {
        credentials: [credential('cio_aws_region', [{ unit: 'r.service' }], 'aws', 1000)],
        sets: [{ ...set('aws', [{ unit: 'r.service' }]), owner: 1000 }],
      }),
      ['warning: r.service loads aws.env: there is no shared set aws | cio credential create cio_aws_backup_repo'],
    ],
    [
      'a credential and a set that others have, too',
      host([loading('r.service', 'token', 'aws.env')], {
        credentials: [credential('token', [], null, 1000), credential('token', [{ unit: 'r.service' }])],
        sets: [{ ...set('aws'), owner: 1000 }, set('aws', [{ unit: 'r.service' }])],
      }),
      [],
    ],
    [
      'a set in one file, granted field by field',
      host([loading('r.service', 'aws.env')], {
        credentials: [
          credential('cio_aws_region', [{ unit: 'r.service' }], 'aws'),
          credential('cio_aws_access_key', [{ unit: 'x.service' }, { unit: 'r.service' }], 'aws'),
          credential('cio_minio_region', [], 'minio'),
        ],
        sets: [set('minio'), set('aws')],
      }),
      [],
    ],
    [
      'a set in one file, granted in part',
      host([loading('r.service', 'aws.env')], {
        credentials: [
          credential('cio_aws_region', [{ unit: 'r.service' }], 'aws'),
          credential('cio_aws_access_key', [], 'aws'),
        ],
        sets: [set('aws')],
      }),
      ['error: r.service loads aws.env, which was not granted to it | cio credential grant aws --unit r.service'],
    ],
    [
      'a credential that has the name of a set in one file',
      host([loading('r.service', 'aws.env')], {
        credentials: [credential('aws.env'), credential('cio_aws_region', [{ unit: 'r.service' }], 'aws')],
        sets: [set('aws', [{ unit: 'r.service' }])],
      }),
      ['error: r.service loads aws.env, which was not granted to it | cio credential grant aws.env --unit r.service'],
    ],
    [
      'a set that the unit waits for',
      host(
        [loading('r@.service', 'aws.env')],
        { sets: [set('aws', [{ unit: 'r@.service', missing: 'block' }], ['region', 'x'])] },
        ['r@home.service'],
      ),
      ['hint: r@home.service loads aws.env: set aws lacks region, x | cio credential create cio_aws_region'],
    ],
    [
      'a set that only another unit waits for',
      host([loading('r.service', 'aws.env')], {
        sets: [set('aws', [{ unit: 'x.service', missing: 'block' }, { unit: 'r.service' }], ['region'])],
      }),
      ['error: r.service loads aws.env: set aws lacks region | cio credential create cio_aws_region'],
    ],
    [
      'a set that was granted in part, to a unit that waits',
      host([loading('r.service', 'aws.env')], {
        credentials: [
          credential('cio_aws_region', [{ unit: 'r.service', missing: 'block' }], 'aws'),
          credential('cio_aws_access_key', [], 'aws'),
        ],
        sets: [set('aws')],
      }),
      ['error: r.service loads aws.env, which was not granted to it | cio credential grant aws --unit r.service'],
    ],
    [
      'a field that the unit waits for with its set',
      host([loading('r.service', PASSWORD)], { sets: [set('aws', [{ unit: 'r.service', missing: 'block' }])] }),
      [`hint: r.service loads ${PASSWORD}: there is no credential ${PASSWORD} | cio credential create ${PASSWORD}`],
    ],
    [
      'a field that is there, of a set that lacks another one',
      host([loading('r.service', PASSWORD)], {
        credentials: [credential(PASSWORD, [], 'aws')],
        sets: [set('aws', [{ unit: 'r.service' }], ['region'])],
      }),
      [],
    ],
    [
      'a field that is missing of a set that was granted',
      host([loading('r.service', PASSWORD)], { sets: [set('aws', [{ unit: 'r.service' }]), set('minio')] }),
      [`warning: r.service loads ${PASSWORD}: there is no credential ${PASSWORD} | cio credential create ${PASSWORD}`],
    ],
    [
      'a unit whose name a shell would read',
      host([loading(String.raw`a\x2db.service`, 'token')], { credentials: [credential('token')] }),
      [
        String.raw`error: a\x2db.service loads token, which was not granted to it` +
          String.raw` | cio credential grant token --unit 'a\x2db.service'`,
      ],
    ],
    [
      'a credential that is not there',
      host([loading('r.service', 'token')]),
      [
        'warning: r.service loads token: there is no credential token' +
          ' | cio credential create token && cio credential grant token --unit r.service',
      ],
    ],
    [
      'a set that is not there',
      host([loading('r.service', 'aws.env')]),
      ['warning: r.service loads aws.env: there is no set aws | cio credential create cio_aws_backup_repo'],
    ],
    [
      'a set that was not granted',
      host([loading('r.service', 'alt_aws.json')], { sets: [set('aws_alt')] }),
      [
        'hint: r.service loads alt_aws.json, which is now called aws_alt.json',
        'error: r.service loads alt_aws.json, which was not granted to it' +
          ' | cio credential grant aws_alt --unit r.service',
      ],
    ],
    [
      'a set that is not complete',
      host([loading('r.service', 'aws.aws')], { sets: [set('aws', [{ unit: 'r.service' }], ['secret_key'])] }),
      ['error: r.service loads aws.aws: set aws lacks secret_key | cio credential create cio_aws_secret_key'],
    ],
    [
      'old spellings',
      host([loading('r.service', 'cio_alt_aws_restic_password')], {
        credentials: [credential('cio_aws_alt_backup_password', [{ unit: 'r.service' }])],
      }),
      ['hint: r.service loads cio_alt_aws_restic_password, which is now called cio_aws_alt_backup_password'],
    ],
    [
      'an id that can be no credential',
      host([loading('r.service', 'NotAName')]),
      ['error: r.service loads NotAName, which cannot be a credential'],
    ],
    [
      'a template that nothing starts',
      host([loading('r@.service', 'token')]),
      [
        'hint: r@.service loads token: there is no credential token' +
          ' | cio credential create token && cio credential grant token --unit r@.service',
      ],
    ],
    [
      'an encrypted load, and the name of the instance',
      host(
        [
          unitFile('r@.service', [
            'LoadCredentialEncrypted',
            `cio_%i_backup_password:%t/cio-credentiald/load-encrypted`,
          ]),
        ],
        {},
        [String.raw`r@s3.service`],
      ),
      [
        'warning: r@s3.service loads cio_s3_backup_password: there is no credential cio_s3_backup_password' +
          ' | cio credential create cio_s3_backup_password && cio credential grant cio_s3_backup_password --unit r@s3.service',
      ],
    ],
    [
      'what a drop-in takes back',
      host([loading('r.service', 'token'), { ...unitFile('r.service', ['LoadCredential', '']), isDropIn: true }]),
      [],
    ],
    [
      'what an empty setting of the other kind takes back',
      host([
        unitFile('r.service', ['LoadCredentialEncrypted', `token:${LOAD}-encrypted`]),
        { ...unitFile('r.service', ['LoadCredential', '']), isDropIn: true },
      ]),
      [],
    ],
    [
      'what a later line takes from a file',
      host([unitFile('r.service', ['LoadCredential', `token:${LOAD}`], ['LoadCredential', 'token:/etc/token'])]),
      [],
    ],
    [
      'what a later line takes from the socket',
      host([
        unitFile('r.service', ['LoadCredential', 'token'], ['LoadCredential', `token:/var/run/cio-credentiald/load`]),
      ]),
      [
        'warning: r.service loads token: there is no credential token' +
          ' | cio credential create token && cio credential grant token --unit r.service',
      ],
    ],
    [
      'each of what a unit loads, by what a later line leaves of it',
      host([
        unitFile(
          'r.service',
          ['LoadCredential', `a:${LOAD}`],
          ['LoadCredential', `b:${LOAD}`],
          ['LoadCredential', `c:${LOAD}`],
          ['LoadCredential', `%p:${LOAD}`],
          ['LoadCredential', 'b'],
          ['LoadCredential', 'r:/etc/r'],
          ['LoadCredential', `:${LOAD}`],
          ['LoadCredential', 'd:%H/load'],
          ['LoadCredential', `e: ${LOAD}`],
          ['LoadCredential', 'f:/x/var/run/cio-credentiald/load'],
          ['Environment', `g:${LOAD}`],
          ['LoadCredential', `r:${LOAD}`],
          ['LoadCredential', '%p:/etc/r'],
        ),
        { ...loading('r.service', 'z'), isDropIn: true },
      ]),
      ['a', 'c', 'z'].map(
        (name) =>
          `warning: r.service loads ${name}: there is no credential ${name}` +
          ` | cio credential create ${name} && cio credential grant ${name} --unit r.service`,
      ),
    ],
    [
      'a setting in a section that has none of this kind',
      host([
        {
          ...unitFile('r.service'),
          assignments: ['Unit', 'X-Service', ''].map((section) => ({
            section,
            key: 'LoadCredential',
            value: `token:${LOAD}`,
          })),
        },
      ]),
      [],
    ],
    [
      'units that systemd has not',
      {
        ...WELL,
        units: {
          ...unitScan([loading('r.service', 'token'), loading('s@.service', 'x')]),
          units: [],
        },
      },
      [],
    ],
    [
      'an instance with files of its own',
      host(
        [
          loading('r@.service', 'hidden'),
          { ...loading('r@.service', 'hidden-too'), path: '/etc/r@.service.d/override.conf', isDropIn: true },
          { ...unitFile('r@.service', ['LoadCredential', '']), path: '/etc/r@.service.d/10.conf', isDropIn: true },
          { ...loading('r@.service', 'shown'), path: '/etc/r@.service.d/20.conf', isDropIn: true },
          unitFile('r@a.service'),
          { ...unitFile('r@a.service'), path: '/etc/r@a.service.d/override.conf', isDropIn: true },
          { ...loading('r@a.service', 'forgotten'), path: '/etc/r@a.service.d/05.conf', isDropIn: true },
          { ...loading('r@a.service', 'own'), path: '/etc/r@a.service.d/15.conf', isDropIn: true },
        ],
        { credentials: ['hidden', 'hidden-too', 'shown', 'forgotten', 'own'].map((name) => credential(name)) },
      ),
      [
        'error: r@a.service loads own, which was not granted to it | cio credential grant own --unit r@a.service',
        'error: r@a.service loads shown, which was not granted to it | cio credential grant shown --unit r@a.service',
      ],
    ],
    [
      'what drop-ins for several units load and take back',
      host([
        unitFile('backup-a.service'),
        loading('backup-b.service', 'own'),
        { ...loading('backup-.service', 'token'), path: '/etc/backup-.service.d/20.conf', isDropIn: true },
        { ...unitFile('service', ['LoadCredential', '']), path: '/etc/service.d/10.conf', isDropIn: true },
      ]),
      ['backup-a.service', 'backup-b.service'].map(
        (unit) =>
          `warning: ${unit} loads token: there is no credential token` +
          ` | cio credential create token && cio credential grant token --unit ${unit}`,
      ),
    ],
    [
      'what is loaded from somewhere else',
      host([
        unitFile(
          'r.service',
          ['LoadCredential', 'a:/etc/file'],
          ['LoadCredential', 'b'],
          ['LoadCredential', 'c:/run/x/load'],
        ),
      ]),
      [],
    ],
  ] as const) {
    it(`judges ${what}`, () => assert.deepEqual(told(checkUnits(facts)), expected));
  }

  it('judges a template by the instances that are started, and by nothing else', () => {
    const stored = { credentials: [credential('home', [{ unit: 'r@home.service' }])] };
    assertWell(checkUnits(host([loading('r@.service', '%i')], stored, ['r@home.service'])));
  });

  it('reports an encrypted load where systemd refuses the null key', () => {
    const file = unitFile('r.service', ['LoadCredentialEncrypted', `token:${LOAD}-encrypted`]);
    const facts = host([file, loading('s.service', 'token')], {
      credentials: [credential('token', [{ unit: 'r.service' }, { unit: 's.service' }])],
    });
    assert.deepEqual(told(checkUnits(facts)), []);
    assert.deepEqual(told(checkUnits({ ...facts, systemd: { ...SYSTEMD, refusesNullKey: true } })), [
      'error: r.service loads token encrypted, which this host refuses',
    ]);
  });

  it('reports a daemon that would wait for itself', () => {
    const [said = ''] = told(checkUnits(host([loading('cio-credentiald.service', 'token')])));
    assert.match(said, /^error: cio-credentiald\.service loads token from itself \| systemctl revert /);
    const facts = host([loading('cio-credentiald.service', 'token')]);
    const moving = unitFile('cio-credentiald.service', ['Environment', 'CIO_STATE_DIR=/srv/store']);
    const [moved = ''] = told(checkUnits({ ...facts, systemd: { ...SYSTEMD, dropIns: { value: [moving] } } }));
    assert.match(moved, /from itself \| "\$\{EDITOR:-vi\}" /, 'a reverted store would be an empty one');
  });

  it('reports units that wait', () => {
    assert.deepEqual(told(checkUnits(answering({ waiting: 0 }))), []);
    assert.deepEqual(told(checkUnits(answering({ waiting: 1 }))), [
      'warning: the start of a unit waits for a credential | systemctl list-jobs',
    ]);
    assert.deepEqual(told(checkUnits(answering({ waiting: 2 }))), [
      'warning: 2 starts of units wait for a credential | systemctl list-jobs',
    ]);
  });

  it("checks that the names fit into the address of systemd's socket", () => {
    const id = 'i'.repeat(40);
    const unit = (length: number): string => `${'u'.repeat(length - '.service'.length)}.service`;
    const stored = { credentials: [credential(id, [{ unit: unit(43) }, { unit: unit(44) }])] };
    assert.deepEqual(told(checkUnits(host([loading(unit(43), id)], stored))), []);
    const [said = ''] = told(checkUnits(host([loading(unit(44), id)], stored)));
    assert.match(said, /the two names have 84 characters$/);
    const template = (length: number): string => `${'u'.repeat(length - '@.service'.length)}@.service`;
    assert.equal(told(checkUnits(host([loading(template(42), id)]))).length, 1);
    const [open = ''] = told(checkUnits(host([loading(template(43), id)])));
    assert.match(open, /the two names have 84 characters or more$/);
  });

  it('skips ids that depend on an unknown instance or on the host', () => {
    for (const file of [loading('r@.service', '%i'), loading('r.service', '%H')]) {
      const verdict = checkUnits(host([file]));
      assert.deepEqual([told(verdict), stateOf(verdict)], [[], 'skipped']);
    }
  });

  it("judges only the units of the caller's own systemd where the daemon is the caller's own", () => {
    const runtime = '/run/user/1000';
    const users = host([
      unitFile('r.service', ['LoadCredential', 'token:%t/cio-credentiald/load']),
      unitFile('cio-credentiald.service', ['LoadCredential', `token:${runtime}/cio-credentiald/load`]),
      loading('s.service', 'token'),
    ]).units;
    const base = elsewhere(answering({ waiting: 1 }, host([loading('host.service', 'token')])));
    const facts = { ...base, userUnits: { ...users, unread: [{ path: '/x.service', reason: 'EACCES' }] } };
    const verdict = checkUnits(facts);
    assert.deepEqual(told(verdict), [
      'error: s.service loads token from the daemon of the host',
      'warning: r.service loads token: there is no credential token' +
        ' | cio credential create token && cio credential grant token --unit r.service',
      'error: cio-credentiald.service loads token from itself' +
        ' | systemctl --user revert cio-credentiald.service && systemctl --user restart cio-credentiald.service',
      'warning: the start of a unit waits for a credential | systemctl --user list-jobs',
    ]);
    assert.deepEqual(verdict.unseen, ['/x.service cannot be read (EACCES)']);
  });

  it('explains what a missing field or credential means for the unit', () => {
    const why = (...grants: readonly Grantee[]): string | undefined =>
      checkUnits(host([loading('r.service', 'aws.env')], { sets: [set('aws', grants, ['region'])] })).findings[0]?.why;
    assert.match(why({ unit: 'r.service' }) ?? '', /and the unit does not start$/);
    assert.match(why({ unit: 'r.service', missing: 'block' }) ?? '', /^it was granted with --missing block/);
    const missing = (owner: number): string =>
      checkUnits(host([loading('r.service', 'token')], { credentials: [credential('token', [], null, owner)] }))
        .findings.map((finding) => finding.why)
        .join();
    assert.equal(missing(0), 'the daemon refuses, and the unit does not start');
    const field = host([loading('r.service', PASSWORD)], {
      sets: [set('aws', [{ unit: 'r.service', missing: 'block' }])],
    });
    assert.match(checkUnits(field).findings[0]?.why ?? '', /^it was granted with --missing block/);
    assert.match(
      missing(1000),
      /^units load what is shared, and this one belongs to uid 1000; the unit does not start/,
    );
  });

  it('reports each id that depends on the host as unknown', () => {
    assert.deepEqual(checkUnits(host([loading('r.service', 'a%H', 'b%H', 'a%H')])).unseen, [
      'r.service loads b%H, which depends on the instance or the host',
      'r.service loads a%H, which depends on the instance or the host',
    ]);
  });

  it('skips the grants where the daemon does not tell them', () => {
    const files = [loading('r.service', 'token')];
    for (const facts of [{ ...SILENT, units: unitScan(files) }, answering({ administrator: false }, host(files))]) {
      const verdict = checkUnits(facts);
      assert.deepEqual([told(verdict), stateOf(verdict)], [[], 'skipped']);
    }
    const nowhere = { ...SILENT, daemon: { ...SILENT.daemon, socket: undefined } as Facts['daemon'] };
    const verdict = checkUnits({ ...nowhere, units: host(files).units });
    assert.deepEqual(verdict.unseen, ['what units may load is not known: the daemon does not answer']);
  });

  it('says which files it could not read', () => {
    const unread = [{ path: '/etc/systemd/system/x.service', reason: 'EACCES' }];
    assert.deepEqual(checkUnits({ ...WELL, units: { ...WELL.units, unread } }).unseen, [
      '/etc/systemd/system/x.service cannot be read (EACCES)',
    ]);
  });

  it('skips nothing where no unit loads anything', () => {
    assert.equal(stateOf(checkUnits(answering({ administrator: false }, host([])))), 'ok');
  });
});
