import assert from 'node:assert/strict';
import type {
  Facts,
  FileFacts,
  ProcessFacts,
  ScannedFile,
  SeenFile,
  StoreFacts,
  SystemdFacts,
  UnitScan,
} from '../../../../client/cio/doctor/facts.ts';
import type { Verdict } from '../../../../client/cio/doctor/verdict.ts';
import type { StatusOut } from '../../../../src/protocol/interface.generated.ts';

export const NOW_MS: number = Date.parse('2026-06-01T12:00:00Z');
export const SERVICE_UID = 990;
const FOLDER = '/run/cio-credentiald';

export const STATUS: StatusOut = {
  version: '1.0.0',
  pid: 100,
  uid: SERVICE_UID,
  started: NOW_MS - 1000,
  locked: false,
  administrator: true,
  slots: [
    { id: '1', kind: 'systemd', created: 1 },
    { id: '2', kind: 'recovery', created: 1 },
  ],
  keysLocked: true,
  undumpable: true,
  stateDirectory: '/var/lib/cio-credentiald',
};

export const PROCESS: ProcessFacts = {
  uids: [SERVICE_UID, SERVICE_UID, SERVICE_UID, SERVICE_UID],
  noNewPrivileges: '1',
  seccomp: '2',
  effectiveCapabilities: '0000000000000000',
  boundingCapabilities: '0000000000000000',
  unit: { value: 'cio-credentiald.service' },
  coreLimit: { value: { soft: '0', hard: '0' } },
  hasOwnNetwork: { value: true },
  swapMax: { value: '0' },
};

export const SYSTEMD: SystemdFacts = {
  isRunning: true,
  version: { value: 'systemd 252 (252.39-1~deb12u2)' },
  service: {
    value: new Map([
      ['FragmentPath', '/usr/lib/systemd/system/cio-credentiald.service'],
      ['UnitFileState', 'enabled'],
      ['FileDescriptorStoreMax', '128'],
      ['Restart', 'always'],
      ['StartLimitIntervalUSec', '0'],
      ['WatchdogUSec', '30s'],
    ]),
  },
  socketUnits: {
    value: new Map(
      ['cio-credentiald', 'cio-credentiald-load', 'cio-credentiald-load-encrypted', 'cio-credential-prober'].map(
        (name) => [
          `${name}.socket`,
          new Map([
            ['ActiveState', 'active'],
            ['UnitFileState', 'enabled'],
          ]),
        ],
      ),
    ),
  },
  dropIns: { value: [] },
  hasPackagedUnit: true,
  refusesNullKey: false,
};

export const STORE: StoreFacts = {
  directory: { value: file('/var/lib/cio-credentiald', 'directory', 0o700) },
  files: { value: [file('/var/lib/cio-credentiald/credentials.db', 'file', 0o600)] },
  mount: { value: { type: 'ext4', isReadOnly: false } },
  freeBytes: { value: 1e10 },
  databaseBytes: { value: 1e6 },
  hasSystemdKey: { value: true },
};

/** A host without a defect: the package's daemon, under systemd, seen by root. */
export const WELL: Facts = {
  caller: { uid: 0, version: '1.0.0', serviceUid: SERVICE_UID },
  daemon: {
    kind: 'answered',
    socket: `${FOLDER}/io.cio.Credentials`,
    status: STATUS,
    list: { value: { credentials: [], sets: [] } },
  },
  sockets: {
    value: {
      folder: { value: file(FOLDER, 'directory', 0o755, 0) },
      varlink: { value: file(`${FOLDER}/io.cio.Credentials`, 'socket', 0o666, 0) },
      load: { value: file(`${FOLDER}/load`, 'socket', 0o600, 0) },
      loadEncrypted: { value: file(`${FOLDER}/load-encrypted`, 'socket', 0o600, 0) },
      probe: { value: file(`${FOLDER}/probe`, 'socket', 0o600) },
      isHeldByDaemon: { value: true },
    },
  },
  process: { value: PROCESS },
  systemd: SYSTEMD,
  swap: { value: [] },
  store: { value: STORE },
  clock: { nowMs: NOW_MS, setter: 'off', isSynchronized: { value: true }, programMs: NOW_MS - 1e9 },
  units: unitScan([]),
  userUnits: undefined,
  secretFiles: [{ path: '/root/.aws/credentials', file: { value: undefined } }],
};

/** The facts with another answer of the daemon to `Status`. */
export function answering(status: Partial<StatusOut>, host: Facts = WELL): Facts {
  if (host.daemon.kind !== 'answered') throw new TypeError('the daemon of this host is silent');
  return { ...host, daemon: { ...host.daemon, status: { ...host.daemon.status, ...status } } };
}

/** A host whose daemon does not answer. */
export const SILENT: Facts = {
  ...WELL,
  daemon: {
    kind: 'silent',
    socket: `${FOLDER}/io.cio.Credentials`,
    message: 'no daemon',
    hint: 'start the daemon',
    isAbsent: true,
    isReachable: false,
  },
  process: { unseen: 'the daemon does not answer' },
  store: { unseen: 'the daemon does not answer' },
};

export function file(path: string, kind: FileFacts['kind'], mode: number, uid: number = SERVICE_UID): FileFacts {
  return { path, kind, mode, uid };
}

export function seenFile(...facts: Parameters<typeof file>): SeenFile {
  return { value: file(...facts) };
}

/** A unit file with these assignments in [Service]. */
export function unitFile(
  unit: string,
  ...assignments: readonly (readonly [key: string, value: string])[]
): ScannedFile {
  return {
    folder: 0,
    path: `/etc/systemd/system/${unit}`,
    unit,
    isDropIn: false,
    assignments: assignments.map(([key, value]) => ({ section: 'Service', key, value })),
  };
}

/** A scan that found these files, and these instances that another unit starts. */
export function unitScan(files: readonly ScannedFile[], instances: readonly string[] = []): UnitScan {
  const units = files.filter(({ isDropIn }) => !isDropIn).map(({ unit }) => unit);
  return { files, units: [...new Set([...units, ...instances])], unread: [] };
}

/**
 * The findings of a verdict, for comparison: `severity: what`, followed by ` | ` and the command that repairs it, if
 * any.
 */
export function told({ findings }: Verdict): string[] {
  return findings.map(({ severity, what, fix }) => `${severity}: ${what}${fix === undefined ? '' : ` | ${fix}`}`);
}

/** Asserts that everything was seen and nothing was found. */
export function assertWell({ findings, unseen }: Verdict): void {
  assert.deepEqual({ findings, unseen }, { findings: [], unseen: [] });
}
