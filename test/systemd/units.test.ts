import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { describe, it } from 'node:test';
import { FD_STORE_MAX } from '../../daemon/kernel/service-manager.ts';
import { JOBS_MAX, SCHEDULED_JOBS_MAX } from '../../daemon/probe/job-bounds.ts';
import { readDirectives, SYSTEMD, unitFiles, valuesOf } from './unit-file.ts';

/**
 * The highest exposure level that `systemd-analyze security` may report for the daemon: 0 is the least exposed, 10 the
 * most.
 */
const EXPOSURE_MAX = 1.5;

const SERVICE = 'cio-credentiald.service';

/** By socket unit: the socket's FileDescriptorName=, path and mode. */
const SOCKETS = {
  'cio-credentiald.socket': ['varlink', '/run/cio-credentiald/io.cio.Credentials', '0666'],
  'cio-credentiald-load.socket': ['load', '/run/cio-credentiald/load', '0600'],
  'cio-credentiald-load-encrypted.socket': ['load-encrypted', '/run/cio-credentiald/load-encrypted', '0600'],
} as const;

const PROBER_SOCKET = 'cio-credential-prober.socket';
const PROBER = 'cio-credential-prober@.service';
const PROBERS_SLICE = 'system-cio_credential_prober.slice';
/** The threads of a prober that waits for a server, with some margin. */
const PROBER_THREADS = 16;

const needsAnalyze = {
  skip: fs.existsSync('/usr/bin/systemd-analyze') ? false : 'needs systemd-analyze: apt install systemd',
};

describe('systemd/', () => {
  it('has only directives and values that systemd accepts', needsAnalyze, (t) => {
    // systemd-analyze looks for the programs in ExecStart=. The daemon and restic are not on this host, so /bin/true
    // takes their place.
    const copy = fs.mkdtempSync(path.join(os.tmpdir(), 'cio-units-'));
    t.after(() => fs.rmSync(copy, { recursive: true }));
    const units = unitFiles().map((file) => {
      const text = fs.readFileSync(path.join(SYSTEMD, file), 'utf8');
      const runnable = text.replaceAll(/^Exec(Start\w*)=\/\S+/gm, 'Exec$1=/bin/true');
      fs.writeFileSync(path.join(copy, path.basename(file)), runnable);
      return path.join(copy, path.basename(file).replace('@.', '@aws.'));
    });
    for (const unit of units) {
      const template = unit.replace('@aws.', '@.');
      if (template !== unit) fs.symlinkSync(path.basename(template), unit);
    }
    const { status, stdout, stderr } = spawnSync('systemd-analyze', ['verify', '--man=no', ...units], {
      encoding: 'utf8',
    });
    assert.deepEqual(
      { status, stdout, said: stderr.split('\n').filter((line) => line.includes('cio-')) },
      {
        status: 0,
        stdout: '',
        said: [],
      },
    );
    assert.doesNotMatch(stderr, /restic-backup/);
  });

  it(`gives the daemon an exposure level of at most ${EXPOSURE_MAX}`, needsAnalyze, () => {
    const { stdout } = spawnSync('systemd-analyze', ['security', '--offline=true', path.join(SYSTEMD, SERVICE)], {
      encoding: 'utf8',
    });
    const exposure = /Overall exposure level for cio-credentiald\.service: (?<level>[\d.]+)/.exec(stdout);
    assert.ok(Number(exposure?.groups?.['level']) <= EXPOSURE_MAX, stdout);
  });

  for (const file of unitFiles()) {
    it(`${file} explains each directive in a comment`, () => {
      const directives = readDirectives(file);
      assert.ok(directives.length > 0);
      const bare = directives.filter(({ isExplained }) => !isExplained);
      assert.deepEqual(
        bare.map(({ section, name }) => `[${section}] ${name}=`),
        [],
      );
    });
  }

  it('explains why the directives that hardening guides ask for are left out', () => {
    const text = fs.readFileSync(path.join(SYSTEMD, SERVICE), 'utf8');
    for (const name of ['MemoryDenyWriteExecute', 'PrivateUsers', 'ProtectProc', 'ProcSubset', 'RuntimeDirectory']) {
      assert.match(text, new RegExp(`^# ${name}= is left out: .{10,}`, 'm'));
      assert.deepEqual(valuesOf(readDirectives(SERVICE), name), []);
    }
  });
});

describe(SERVICE, () => {
  const directives = readDirectives(SERVICE);

  it('starts the program at the path where the package installs it', () => {
    assert.deepEqual(valuesOf(directives, 'ExecStart'), ['/usr/lib/cio-credentiald/bin/cio-credentiald --system']);
  });

  it('is always restarted, and keeps connections over a restart', () => {
    assert.deepEqual(valuesOf(directives, 'Restart'), ['always']);
    assert.deepEqual(valuesOf(directives, 'StartLimitIntervalSec'), ['0']);
    assert.deepEqual(valuesOf(directives, 'FileDescriptorStoreMax'), [String(FD_STORE_MAX)]);
    assert.deepEqual(valuesOf(directives, 'NotifyAccess'), ['main']);
  });

  it('does not load a credential from its own socket', () => {
    const loaded = directives.filter(({ name }) => /^(?:Load|Set|Import)Credential/.test(name));
    assert.deepEqual(
      loaded.map(({ name, value }) => `${name}=${value}`),
      ['LoadCredentialEncrypted=cio-credentiald.root-key'],
    );
  });

  it('starts after the service that makes the key of its store', () => {
    const unit = 'cio-credentiald-root-key.service';
    assert.ok(valuesOf(directives, 'Wants').includes(unit));
    assert.ok(valuesOf(directives, 'After').includes(unit));
    const own = readDirectives(unit);
    assert.deepEqual(valuesOf(own, 'ExecStart'), ['/usr/lib/cio-credentiald/make-root-key']);
    // Without RequiresMountsFor=, the service would not see a store on a disk that is mounted late, and would make a
    // key that does not open that store.
    assert.deepEqual(valuesOf(own, 'RequiresMountsFor'), ['/var/lib/cio-credentiald']);
  });

  it('orders itself after each of its sockets and enables them, requires the Varlink socket, and starts and stops with the others', () => {
    const names = Object.keys(SOCKETS).toSorted();
    const own = (name: string): string[] => {
      const listed = valuesOf(directives, name).flatMap((value) => value.split(' '));
      return listed.filter((unit) => unit.endsWith('.socket') && unit !== PROBER_SOCKET).toSorted();
    };
    for (const name of ['After', 'Also']) assert.deepEqual(own(name), names, name);
    assert.deepEqual(own('Requires'), ['cio-credentiald.socket']);
    for (const name of ['Wants', 'PartOf'])
      assert.deepEqual([...own('Requires'), ...own(name)].toSorted(), names, name);
    assert.ok(valuesOf(directives, 'Wants').includes(PROBER_SOCKET));
    assert.ok(valuesOf(directives, 'Also').includes(PROBER_SOCKET));
  });
});

describe('the sockets', () => {
  for (const [file, [name, listen, mode]] of Object.entries(SOCKETS)) {
    it(`${file} listens at ${listen} and passes the socket as ${name}`, () => {
      const directives = readDirectives(file);
      assert.deepEqual(valuesOf(directives, 'FileDescriptorName'), [name]);
      assert.deepEqual(valuesOf(directives, 'ListenStream'), [listen]);
      assert.deepEqual(valuesOf(directives, 'SocketMode'), [mode]);
      assert.deepEqual(valuesOf(directives, 'DirectoryMode'), ['0755']);
      assert.deepEqual(valuesOf(directives, 'Service'), [SERVICE]);
      assert.deepEqual(valuesOf(directives, 'WantedBy'), ['sockets.target']);
    });

    it(`${file} keeps listening when the daemon crashes repeatedly`, () => {
      const directives = readDirectives(file);
      assert.deepEqual(valuesOf(directives, 'TriggerLimitIntervalSec'), ['0']);
      assert.deepEqual(valuesOf(directives, 'RemoveOnStop'), []);
    });
  }

  it("are the only socket units, with the prober's", () => {
    assert.deepEqual(
      unitFiles().filter((file) => file.endsWith('.socket')),
      [...Object.keys(SOCKETS), PROBER_SOCKET].toSorted(),
    );
  });
});

describe('the prober', () => {
  it('runs one process per validation, and only the daemon can start it', () => {
    const directives = readDirectives(PROBER_SOCKET);
    assert.deepEqual(valuesOf(directives, 'Accept'), ['yes']);
    const [most] = valuesOf(directives, 'MaxConnections');
    assert.ok(Number(most) > JOBS_MAX + SCHEDULED_JOBS_MAX, 'one that is done counts for a moment more');
    assert.deepEqual(valuesOf(directives, 'ListenStream'), ['/run/cio-credentiald/probe']);
    assert.deepEqual(valuesOf(directives, 'SocketMode'), ['0600']);
    assert.deepEqual(valuesOf(directives, 'SocketUser'), ['cio-credentiald']);
  });

  it("has no state and no persistent user, and cannot see the daemon's files", () => {
    const directives = readDirectives(PROBER);
    assert.deepEqual(valuesOf(directives, 'DynamicUser'), ['yes']);
    assert.deepEqual(
      directives.filter(({ name }) => /^(?:State|Cache|Logs|Runtime|Configuration)Directory/.test(name)),
      [],
    );
    const hidden = valuesOf(directives, 'InaccessiblePaths').flatMap((value) => value.split(' '));
    assert.deepEqual(hidden.toSorted(), [
      '-/etc/credstore',
      '-/etc/credstore.encrypted',
      '-/var/lib/cio-credentiald',
      '/run/cio-credentiald',
    ]);
  });
});

describe('all probers together', () => {
  it("share a slice next to the daemon, whose CPU weight is relative to the daemon and the host's services", () => {
    assert.deepEqual(valuesOf(readDirectives(PROBER), 'Slice'), [PROBERS_SLICE]);
    assert.match(PROBERS_SLICE, /^system-[^-]+\.slice$/, 'it would lie deeper, or not in system.slice');
    assert.deepEqual(valuesOf(readDirectives(PROBER), 'CPUWeight'), [], 'it would count among probers only');
    const [ofProbers] = valuesOf(readDirectives(PROBERS_SLICE), 'CPUWeight');
    const [ofDaemon] = valuesOf(readDirectives(SERVICE), 'CPUWeight');
    // Other services have 100 (systemd.resource-control(5)). With less than a tenth of their share, validations would
    // not end in time.
    assert.ok(Number(ofProbers) >= 10 && Number(ofProbers) < 100 && Number(ofDaemon) > 100);
  });

  it('are limited in memory and tasks, with room for the maximum number of probers', () => {
    const directives = readDirectives(PROBERS_SLICE);
    assert.match(valuesOf(directives, 'MemoryMax').join(), /^\d+%$/);
    const [most] = valuesOf(readDirectives(PROBER_SOCKET), 'MaxConnections');
    const [tasks] = valuesOf(directives, 'TasksMax');
    assert.ok(Number(tasks) >= Number(most) * PROBER_THREADS);
  });
});

describe('examples/restic-backup@.service', () => {
  const directives = readDirectives('examples/restic-backup@.service');

  it('takes every secret from the daemon, and has no secret in its environment', () => {
    const credentials = valuesOf(directives, 'LoadCredential');
    assert.equal(credentials.length, 3);
    for (const credential of credentials) assert.match(credential, /^[\w.%]+:\/run\/cio-credentiald\/load$/);
    for (const variable of valuesOf(directives, 'Environment')) {
      assert.doesNotMatch(variable, /PASSWORD=|ACCESS_KEY|SECRET|RESTIC_REPOSITORY=/);
    }
  });

  it('points restic at each of the files that systemd creates', () => {
    const ids = valuesOf(directives, 'LoadCredential').flatMap((credential) => credential.split(':', 1));
    const files = valuesOf(directives, 'Environment').flatMap(
      (variable) => /=%d\/(?<id>.*)$/.exec(variable)?.[1] ?? [],
    );
    assert.deepEqual(files.toSorted(), ids.toSorted());
  });

  it('starts the socket, and keeps running when the socket is stopped', () => {
    const socket = 'cio-credentiald-load.socket';
    for (const name of ['Wants', 'After']) assert.ok(valuesOf(directives, name).includes(socket), name);
    for (const name of ['Requires', 'BindsTo', 'PartOf']) assert.deepEqual(valuesOf(directives, name), [], name);
  });

  it('runs no shell', () => {
    for (const { name, value } of directives)
      if (name.startsWith('Exec')) assert.match(value, /^\/usr\/bin\/(?:restic|test) /);
  });
});
