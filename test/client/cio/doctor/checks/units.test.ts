import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { checkUnits } from '../../../../../client/cio/doctor/checks/units.ts';
import type { Facts, StoredNames } from '../../../../../client/cio/doctor/facts.ts';
import type { UnitFile } from '../../../../../client/cio/doctor/unit-file.ts';
import { stateOf } from '../../../../../client/cio/doctor/verdict.ts';
import type { Grantee } from '../../../../../src/protocol/interface.generated.ts';
import { answering, assertWell, SILENT, SYSTEMD, told, unitFile, WELL } from '../host.ts';

const LOAD = '/run/cio-credentiald/load';

function credential(name: string, grants: readonly Grantee[] = [], set: string | null = null, owner = 0) {
  return { name, owner, changed: 1, set, grants };
}

function set(name: string, grants: readonly Grantee[] = [], missing: readonly string[] = []) {
  return { set: name, owner: 0, ready: missing.length === 0, missing, grants };
}

function host(files: readonly UnitFile[], stored: Partial<StoredNames> = {}, instances: readonly string[] = []): Facts {
  assert.ok(WELL.daemon.kind === 'answered');
  const list = { value: { credentials: [], sets: [], ...stored } };
  return { ...WELL, daemon: { ...WELL.daemon, list }, units: { files, instances, unread: [] } };
}

function loading(unit: string, ...ids: readonly string[]): UnitFile {
  return unitFile(unit, ...ids.map((id) => ['LoadCredential', `${id}:${LOAD}`] as const));
}

/** The same where a daemon of somebody's own answers. */
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
      "a credential of a user's own",
      host([loading('r.service', 'token')], { credentials: [credential('token', [], null, 1000)] }),
      [
        'error: r.service loads token, which was not granted to it' +
          ' | cio credential grant token --unit r.service --owner 1000',
      ],
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
        'error: r.service loads token: there is no credential token' +
          ' | cio credential create token && cio credential grant token --unit r.service',
      ],
    ],
    [
      'a set that is not there',
      host([loading('r.service', 'aws.env')]),
      ['error: r.service loads aws.env: there is no set aws | cio credential create cio_aws_backup_repo'],
    ],
    [
      'a set that was not granted',
      host([loading('r.service', 'alt_aws.json')], { sets: [set('aws_alt')] }),
      [
        'hint: r.service loads alt_aws.json, which is called aws_alt.json today',
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
      ['hint: r.service loads cio_alt_aws_restic_password, which is called cio_aws_alt_backup_password today'],
    ],
    [
      'an id that can be no credential',
      host([loading('r.service', 'NotAName')]),
      ['error: r.service loads NotAName, which can be no credential'],
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
        'error: r@s3.service loads cio_s3_backup_password: there is no credential cio_s3_backup_password' +
          ' | cio credential create cio_s3_backup_password && cio credential grant cio_s3_backup_password --unit r@s3.service',
      ],
    ],
    [
      'what a drop-in takes back',
      host([loading('r.service', 'token'), { ...unitFile('r.service', ['LoadCredential', '']), isDropIn: true }]),
      [],
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

  it('tells of an encrypted load where systemd takes no null key', () => {
    const file = unitFile('r.service', ['LoadCredentialEncrypted', `token:${LOAD}-encrypted`]);
    const facts = host([file, loading('s.service', 'token')], {
      credentials: [credential('token', [{ unit: 'r.service' }, { unit: 's.service' }])],
    });
    assert.deepEqual(told(checkUnits(facts)), []);
    assert.deepEqual(told(checkUnits({ ...facts, systemd: { ...SYSTEMD, refusesNullKey: true } })), [
      'error: r.service loads token encrypted, which this host refuses',
    ]);
  });

  it('tells of a daemon that would wait for itself', () => {
    const [said = ''] = told(checkUnits(host([loading('cio-credentiald.service', 'token')])));
    assert.match(said, /^error: cio-credentiald\.service loads token from itself \| systemctl revert /);
  });

  it('tells of units that wait', () => {
    assert.deepEqual(told(checkUnits(answering({ waiting: 0 }))), []);
    assert.deepEqual(told(checkUnits(answering({ waiting: 2 }))), [
      'warning: 2 starts of units wait for a credential | systemctl list-jobs',
    ]);
  });

  it('counts what fits into the address that systemd asks from', () => {
    const id = 'i'.repeat(40);
    const unit = (length: number): string => `${'u'.repeat(length - '.service'.length)}.service`;
    const stored = { credentials: [credential(id, [{ unit: unit(43) }, { unit: unit(44) }])] };
    assert.deepEqual(told(checkUnits(host([loading(unit(43), id)], stored))), []);
    const [said = ''] = told(checkUnits(host([loading(unit(44), id)], stored)));
    assert.match(said, /the two names have 84 characters$/);
  });

  it('skips what follows from an instance that is not known, and drop-ins of several units', () => {
    const dropIn = { ...loading('service', 'token'), isDropIn: true };
    for (const file of [
      loading('r@.service', '%i'),
      loading('r.service', '%H'),
      dropIn,
      loading('foo-.service', 'x'),
    ]) {
      const verdict = checkUnits(host([file]));
      assert.deepEqual([told(verdict), stateOf(verdict)], [[], 'skipped']);
    }
  });

  it('skips the grants where it is not told them', () => {
    const files = [loading('r.service', 'token')];
    for (const facts of [
      { ...SILENT, units: { files, instances: [], unread: [] } },
      answering({ administrator: false }, host(files)),
    ]) {
      const verdict = checkUnits(facts);
      assert.deepEqual([told(verdict), stateOf(verdict)], [[], 'skipped']);
    }
  });

  it('has nothing to skip where no unit loads anything', () => {
    assert.equal(stateOf(checkUnits(answering({ administrator: false }, host([])))), 'ok');
  });
});
