import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { checkClock } from '../../../../../client/cio/doctor/checks/clock.ts';
import { checkNames } from '../../../../../client/cio/doctor/checks/names.ts';
import { checkPlainSecrets } from '../../../../../client/cio/doctor/checks/plain-secrets.ts';
import { checkSystemd, parseSystemdVersion } from '../../../../../client/cio/doctor/checks/systemd.ts';
import type { ClockFacts, Facts } from '../../../../../client/cio/doctor/facts.ts';
import { isSecretVariable } from '../../../../../client/cio/doctor/secret-variables.ts';
import { stateOf } from '../../../../../client/cio/doctor/verdict.ts';
import { NOW_MS, seenFile, SILENT, SYSTEMD, told, unitFile, WELL } from '../host.ts';

const MINUTE_MS = 60_000;

function storing(...names: readonly string[]): Facts {
  const credentials = names.map((name) => ({ name, owner: 0, changed: NOW_MS - 1000, set: null, grants: [] }));
  assert.ok(WELL.daemon.kind === 'answered');
  return { ...WELL, daemon: { ...WELL.daemon, list: { value: { credentials, sets: [] } } } };
}

describe('checkClock()', () => {
  function clock(changed: Partial<ClockFacts>): Facts {
    return { ...storing('name'), clock: { ...WELL.clock, ...changed } };
  }

  /** The same, where the host does not tell whether the clock is synchronized. */
  function unset(changed: Partial<ClockFacts>): Facts {
    return clock({ isSynchronized: { unseen: 'no timedatectl' }, ...changed });
  }

  for (const [what, facts, state, pattern] of [
    ['a clock that is right', clock({}), 'ok', /^$/],
    ['one that nobody sets', clock({ isSynchronized: { value: false } }), 'warning', /not synchronized \| timedatectl/],
    ['one set back an hour', unset({ nowMs: NOW_MS - 60 * MINUTE_MS }), 'error', /newest change of the store/],
    ['one set back some minutes', unset({ nowMs: NOW_MS - 5 * MINUTE_MS }), 'warning', /newest change of the store/],
    ['one set back a moment', clock({ nowMs: NOW_MS - 10_000 }), 'ok', /^$/],
    [
      'one that was wrong once, and is synchronized since',
      clock({ nowMs: NOW_MS - 60 * MINUTE_MS }),
      'warning',
      /^warning: name was changed at .*, which is in the future$/,
    ],
    [
      'one of 1970',
      unset({ nowMs: 0, programMs: NOW_MS }),
      'error',
      /^error: the clock says 1970-01-01 .* cio was built/,
    ],
    ['one that is not known', clock({ isSynchronized: { unseen: 'no timedatectl' } }), 'skipped', /^$/],
  ] as const) {
    it(`gives ${state} for ${what}`, () => {
      const verdict = checkClock(facts);
      assert.equal(stateOf(verdict), state);
      assert.match(told(verdict).join(), pattern);
    });
  }
});

describe('checkClock() at its thresholds', () => {
  function hostOf(clock: Partial<ClockFacts>, ...changed: readonly number[]): Facts {
    const credentials = changed.map((at, index) => ({
      name: `n${index}`,
      owner: 0,
      changed: at,
      set: null,
      grants: [],
    }));
    assert.ok(WELL.daemon.kind === 'answered');
    const daemon = { ...WELL.daemon, list: { value: { credentials, sets: [] } } };
    return { ...WELL, daemon, clock: { ...WELL.clock, ...clock } };
  }
  const unset = { isSynchronized: { unseen: 'no timedatectl' } };

  for (const [what, facts, expected] of [
    ['a date just within what a clock is set back', hostOf({}, NOW_MS + MINUTE_MS), ''],
    ['a date just beyond', hostOf({}, NOW_MS + MINUTE_MS + 1), /^warning: n0 was changed at /],
    [
      'several',
      hostOf({}, NOW_MS + 2 * MINUTE_MS, 0, NOW_MS + 3 * MINUTE_MS, NOW_MS + 4 * MINUTE_MS),
      /^warning: n0 \(and 2 more\) was/,
    ],
    ['a clock just within', hostOf(unset, NOW_MS + MINUTE_MS), ''],
    ['a clock a little behind', hostOf(unset, 0, NOW_MS + 15 * MINUTE_MS), /^warning: the clock says 2026-06-01 /],
    ['a clock too far behind', hostOf(unset, NOW_MS + 15 * MINUTE_MS + 1), /^error: the clock says .*12:15:00/],
    ['a program from nowhere', hostOf({ ...unset, programMs: undefined }), ''],
    [
      'a store and a program of one time',
      hostOf({ ...unset, programMs: NOW_MS + 5 * MINUTE_MS }, NOW_MS + 5 * MINUTE_MS),
      /newest change of the store/,
    ],
    ['a program without a store', hostOf({ ...unset, nowMs: -NOW_MS, programMs: 1 }), /before cio was built/],
  ] as const) {
    it(`judges ${what}`, () => {
      const said = told(checkClock(facts)).join();
      if (expected === '') assert.equal(said, '');
      else assert.match(said, expected);
    });
  }

  for (const [setter, fix] of [
    ['off', 'timedatectl set-ntp true'],
    [
      'absent',
      'apt-get install systemd-timesyncd && systemctl unmask systemd-timesyncd && systemctl enable --now systemd-timesyncd',
    ],
    ['on', undefined],
    [undefined, undefined],
  ] as const) {
    it(`suggests the same repair for every finding where the time service is ${setter}`, () => {
      const behind = NOW_MS + 20 * MINUTE_MS;
      for (const [changed, severity] of [
        [NOW_MS, undefined],
        [NOW_MS + 5 * MINUTE_MS, 'warning'],
        [behind, 'error'],
      ] as const) {
        const { findings } = checkClock(hostOf({ setter, isSynchronized: { value: false } }, changed));
        assert.deepEqual(
          findings.map((finding) => [finding.severity, finding.fix]),
          [...(severity === undefined ? [] : [[severity, fix]]), ['warning', fix]],
        );
        assert.equal(/; the time service runs/.test(findings.at(-1)?.why ?? ''), setter === 'on');
      }
    });
  }

  it('does not judge by a list that it does not have', () => {
    assert.deepEqual(told(checkClock(SILENT)), []);
    assert.ok(WELL.daemon.kind === 'answered');
    assert.deepEqual(told(checkClock({ ...WELL, daemon: { ...WELL.daemon, list: { unseen: 'hidden' } } })), []);
  });
});

describe('parseSystemdVersion()', () => {
  for (const [line, expected] of [
    ['systemd 252 (252.39-1~deb12u2)', { major: 252, point: 39 }],
    ['systemd 252 (252.1-1)', { major: 252, point: 1 }],
    ['systemd 252 (252-3)', { major: 252, point: 0 }],
    ['systemd 252 (252~rc3-1)', { major: 252, point: 0 }],
    ['systemd 256 (v256.7-1.fc41)', { major: 256, point: 7 }],
    ['systemd 239 (239-82.el8_10)', { major: 239, point: 0 }],
    ['systemd 249 (249.11-0ubuntu3.12)', { major: 249, point: 11 }],
    ['systemd 245', { major: 245, point: 0 }],
    ['systemd 252.4 (252.9-1)', { major: 252, point: 4 }],
    ['systemd 252.4', { major: 252, point: 4 }],
    ['systemd 99 (99)', { major: 99, point: 0 }],
    ['xsystemd 252 (252.1-1)', undefined],
    ['systemctl: nonsense', undefined],
    ['', undefined],
  ] as const) {
    it(`reads ${JSON.stringify(line)}`, () => assert.deepEqual(parseSystemdVersion(line), expected));
  }
});

describe('checkSystemd()', () => {
  for (const [line, state] of [
    ['systemd 252 (252.39-1)', 'ok'],
    ['systemd 252 (252.2-1)', 'ok'],
    ['systemd 252 (252.1-1)', 'error'],
    ['systemd 252 (252-1)', 'error'],
    ['systemd 251 (251.4)', 'ok'],
    ['systemd 250 (250)', 'ok'],
    ['systemd 249 (249.11)', 'warning'],
    ['systemd 247 (247)', 'warning'],
    ['systemd 246 (246)', 'error'],
    ['busybox', 'skipped'],
  ] as const) {
    it(`gives ${state} for ${line}`, () => {
      assert.equal(stateOf(checkSystemd({ ...WELL, systemd: { ...SYSTEMD, version: { value: line } } })), state);
    });
  }

  it('says what could not be asked', () => {
    const verdict = checkSystemd({ ...WELL, systemd: { ...SYSTEMD, version: { unseen: 'no command' } } });
    assert.deepEqual(verdict.unseen, ['no command']);
  });

  it('says that systemd does not run', () => {
    const verdict = checkSystemd({ ...WELL, systemd: { ...SYSTEMD, isRunning: false } });
    assert.equal(stateOf(verdict), 'skipped');
    assert.match(verdict.unseen.join(), /^this host does not run systemd/);
  });
});

describe('checkNames()', () => {
  it('hints at names that look like a field of a set, or are an old spelling of one', () => {
    const said = told(checkNames(storing('cio_aws_access_key', 'other', 'cio_aws_passwort', 'cio_alt_aws_access_key')));
    assert.deepEqual(said, [
      'hint: cio_aws_passwort looks like a field of a set, but is not one',
      'hint: cio_alt_aws_access_key is now called cio_aws_alt_access_key',
    ]);
    assert.equal(stateOf(checkNames(storing('cio_aws_passwort'))), 'ok');
    assert.equal(stateOf(checkNames(SILENT)), 'skipped');
    assert.ok(WELL.daemon.kind === 'answered');
    const hidden = checkNames({ ...WELL, daemon: { ...WELL.daemon, list: { unseen: 'hidden' } } });
    assert.deepEqual([told(hidden), hidden.unseen], [[], ['hidden']]);
    const [finding] = checkNames(storing('cio_aws_passwort')).findings;
    const fields = finding?.why.split('the fields are ')[1]?.split(', ') ?? [];
    assert.ok(fields.length > 5);
    assert.deepEqual(fields, fields.toSorted());
  });
});

describe('checkPlainSecrets()', () => {
  it('names the file and its mode', () => {
    const path = '/root/.config/rclone/rclone.conf';
    for (const [mode, isTold] of [
      [0o644, true],
      [0o640, true],
      [0o604, true],
      [0o600, false],
      [0o620, false],
    ] as const) {
      const facts = { ...WELL, secretFiles: [{ path, file: seenFile(path, 'file', mode) }] };
      const expected = [`warning: ${path} has mode 0${mode.toString(8)}: others can read it | chmod 0600 ${path}`];
      assert.deepEqual(told(checkPlainSecrets(facts)), isTold ? expected : []);
    }
  });

  it('names the secret variables in an environment file of a unit', () => {
    const path = '/etc/restic.env';
    const secretFile = { path, file: seenFile(path, 'file', 0o644), variables: ['RESTIC_PASSWORD'] };
    assert.deepEqual(told(checkPlainSecrets({ ...WELL, secretFiles: [secretFile] })), [
      `warning: ${path} has mode 0644: others can read RESTIC_PASSWORD | chmod 0600 ${path}`,
    ]);
  });

  it('names the secret variables of a unit file', () => {
    const files = [
      unitFile('backup.service', ['Environment', 'LANG RESTIC_PASSWORD'], ['Environment', 'AWS_SECRET_ACCESS_KEY']),
    ];
    assert.deepEqual(told(checkPlainSecrets({ ...WELL, units: { ...WELL.units, files } })), [
      'warning: /etc/systemd/system/backup.service has RESTIC_PASSWORD, AWS_SECRET_ACCESS_KEY in clear text' +
        ' | systemctl edit --full backup.service',
    ]);
  });

  it('suggests editing the drop-in itself, which systemctl edit would not find', () => {
    const dropIn = {
      ...unitFile('x.service', ['Environment', 'RESTIC_PASSWORD']),
      path: '/etc/a b.conf',
      isDropIn: true,
    };
    assert.deepEqual(told(checkPlainSecrets({ ...WELL, units: { ...WELL.units, files: [dropIn] } })), [
      `warning: /etc/a b.conf has RESTIC_PASSWORD in clear text | "\${EDITOR:-vi}" '/etc/a b.conf' && systemctl daemon-reload`,
    ]);
  });

  it('accepts an environment without secrets, and other settings or sections', () => {
    const files = [
      unitFile('a.service', ['Environment', 'LANG'], ['EnvironmentFile', 'RESTIC_PASSWORD']),
      { ...unitFile('b.service'), assignments: [{ section: '', key: 'Environment', value: 'RESTIC_PASSWORD' }] },
    ];
    assert.deepEqual(told(checkPlainSecrets({ ...WELL, units: { ...WELL.units, files } })), []);
    const folder = { path: '/root/.aws/credentials', file: seenFile('/root/.aws/credentials', 'directory', 0o755) };
    assert.deepEqual(told(checkPlainSecrets({ ...WELL, secretFiles: [folder] })), []);
  });

  it('says how the secret can do without the file', () => {
    const why = (variables?: readonly string[]): string => {
      const secretFile = { path: '/x', file: seenFile('/x', 'file', 0o644), ...(variables && { variables }) };
      return checkPlainSecrets({ ...WELL, secretFiles: [secretFile] }).findings[0]?.why ?? '';
    };
    assert.match(why(), /cio credential exec/);
    assert.match(why(['RESTIC_PASSWORD']), /LoadCredential=/);
  });

  it('says what it could not read', () => {
    const unread = [{ path: '/etc/systemd/system/x.service', reason: 'EACCES' }];
    assert.equal(stateOf(checkPlainSecrets({ ...WELL, units: { ...WELL.units, unread } })), 'skipped');
    const hidden = { path: '/root/.aws/credentials', file: { unseen: '/x cannot be read (permission denied)' } };
    assert.equal(stateOf(checkPlainSecrets({ ...WELL, secretFiles: [hidden] })), 'skipped');
  });
});

describe('isSecretVariable()', () => {
  it("knows the secrets of every provider, and rclone's", () => {
    for (const name of [
      'RESTIC_PASSWORD',
      'AWS_SESSION_TOKEN',
      'RCLONE_CONFIG_AWS_SECRET_ACCESS_KEY',
      'RCLONE_S3_SESSION_TOKEN',
    ]) {
      assert.equal(isSecretVariable(name), true, name);
    }
    for (const name of [
      'MY_SECRET_ACCESS_KEY',
      'RESTIC_REPOSITORY',
      'AWS_ACCESS_KEY_ID',
      'RCLONE_CONFIG_AWS_ACCESS_KEY_ID',
      'PATH',
      '',
    ]) {
      assert.equal(isSecretVariable(name), false, name);
    }
  });
});
