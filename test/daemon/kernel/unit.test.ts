import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { unitOfCgroup, userUnitOfCgroup } from '../../../daemon/kernel/unit.ts';
import { isUnitName } from '../../../src/units.ts';
import { withinCpuTime } from '../../support/cpu-time.ts';

describe('unitOfCgroup()', () => {
  const paths: Record<string, string | undefined> = {
    '/system.slice/restic.service': 'restic.service',
    '/system.slice/system-restic.slice/restic@home.service': 'restic@home.service',
    '/system.slice/restic@a.b-c\\x2dd.service': 'restic@a.b-c\\x2dd.service',
    '/user.slice/user-1000.slice/session-3.scope': 'session-3.scope',
    '/init.scope': 'init.scope',
    '/system.slice/restic@bob@host.service': 'restic@bob@host.service',
    // systemd prepends a _ to a name that the kernel could take for one of its own files, and to a name with a _
    // itself.
    '/system.slice/_io.service': 'io.service',
    '/system.slice/__io.service': '_io.service',
    '/_x.slice/_memory.high.service': 'memory.high.service',
    // A unit can make any cgroups below its own.
    '/user.slice/user-1000.slice/user@1000.service/app.slice/restic.service': 'user@1000.service',
    '/system.slice/docker-abc.scope/system.slice/restic.service': 'docker-abc.scope',
    '/system.slice/evil.service/restic.service': 'evil.service',
    '/system.slice/evil.service/../restic.service': 'evil.service',
    // No unit.
    '/': undefined,
    '': undefined,
    '/docker/0123456789abcdef': undefined,
    '/docker/restic.service': undefined,
    '/../restic.service': undefined,
    '/../../system.slice/restic.service': undefined,
    '/system.slice': undefined,
    '/system.slice/': undefined,
    '/system.slice/restic.service (deleted)': undefined,
    '/system.slice/.service': undefined,
    '/system.slice/_': undefined,
    '/system.slice/restic.timer': undefined,
    '/system.slice/restic.service ': undefined,
    '/system.slice/re stic.service': undefined,
    '/system.slice/restic.service\u0000': undefined,
    '/system.slice/rest\u00efc.service': undefined,
    'system.slice/restic.service': undefined,
  };
  for (const [path, unit] of Object.entries(paths)) {
    it(`returns ${unit ?? 'undefined'} for ${JSON.stringify(path)}, in all cgroup layouts`, () => {
      assert.equal(unitOfCgroup(`0::${path}\n`), unit, 'unified');
      assert.equal(unitOfCgroup(`2:cpu:/other.service\n1:name=systemd:${path}\n`), unit, 'legacy');
      assert.equal(unitOfCgroup(`12:name=systemd:${path}\n3:pids:/other.service\n0::${path}\n`), unit, 'hybrid');
    });
  }

  it('ignores the path in another hierarchy', () => {
    for (const line of [
      '4:memory:/a.service',
      '5:name=other:/a.service',
      '1:name=systemd2:/a.service',
      '10::/a.service',
      ' 0::/a.service',
    ]) {
      assert.equal(unitOfCgroup(`${line}\n`), undefined, line);
    }
  });

  it('returns undefined for no path', () => {
    for (const text of ['', '\n', '0::', 'nonsense']) assert.equal(unitOfCgroup(text), undefined);
  });

  it('returns a unit name or undefined, whatever the text', () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(fc.string(), fc.constantFrom('system.slice', 'a.service', '..', 'x.slice'))),
        (parts) => {
          const unit = unitOfCgroup(`0::/${parts.join('/')}\n`);
          assert.ok(unit === undefined || isUnitName(unit));
        },
      ),
    );
  });

  it('takes linear time for a long path', () => {
    withinCpuTime(5000, () => {
      for (const part of ['a', '@', '.', 'a@', '.service', 'a.slice/']) unitOfCgroup(`0::/${part.repeat(300_000)}\n`);
    });
  });
});

describe('userUnitOfCgroup()', () => {
  const manager = '/user.slice/user-1000.slice/user@1000.service';
  for (const [path, unit] of [
    [`${manager}/app.slice/restic.service`, 'restic.service'],
    [`${manager}/app.slice/app-restic.slice/restic@home.service`, 'restic@home.service'],
    [`${manager}/init.scope`, 'init.scope'],
    [`${manager}/app.slice/restic.service/other.service`, 'restic.service'],
    [manager, undefined],
    [`${manager}/app.slice`, undefined],
    [`${manager}/nonsense/restic.service`, undefined],
    ['/user.slice/user-1001.slice/user@1001.service/app.slice/restic.service', undefined],
    ['/user.slice/user-1000.slice/session-3.scope/restic.service', undefined],
    ['/system.slice/evil.service/user@1000.service/restic.service', undefined],
    ['/system.slice/restic.service', undefined],
    ['/', undefined],
  ] as const) {
    it(`returns ${unit ?? 'undefined'} for ${path}`, () => assert.equal(userUnitOfCgroup(`0::${path}\n`, 1000), unit));
  }
});
