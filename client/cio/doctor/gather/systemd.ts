import { existsSync, readFileSync } from 'node:fs';
import type { SystemdFacts } from '../facts.ts';
import { LOAD_SOCKETS, PROBE_SOCKET, SERVICE, SOCKET_UNIT } from '../places.ts';
import { parseUnitFile, type UnitFile } from '../unit-file.ts';
import type { Seen } from '../verdict.ts';
import { attempt, readText } from './files.ts';
import { ask, parseProperties } from './run.ts';
import { UNIT_FILE_BYTES_MAX } from './units.ts';

/** A second or so, in which one that ends at each start is started several times (`RestartSec=`). */
const ASKED_MAX = 50;

/** sd_booted(3) asks for this folder. */
const BOOTED = '/run/systemd/system';
const PROPERTIES = [
  'ActiveState',
  'FragmentPath',
  'DropInPaths',
  'NeedDaemonReload',
  'ExecMainStatus',
  'UnitFileState',
  'FileDescriptorStoreMax',
  'PrivateNetwork',
  'Restart',
  'StartLimitIntervalUSec',
  'WatchdogUSec',
];
const SOCKET_UNITS = [SOCKET_UNIT, ...LOAD_SOCKETS.map(({ unit }) => unit), PROBE_SOCKET.unit];
const SOCKET_PROPERTIES = ['Id', 'ActiveState', 'UnitFileState', 'FragmentPath', 'DropInPaths'];

/** Where the package has its units, and where what is installed from a checkout has them. */
const INSTALLED: readonly string[] = ['/usr/lib', '/usr/local/lib'];

/** The kernel's resource manager of a TPM2, as systemd looks for it. */
const TPM2 = '/sys/class/tpmrm/tpmrm0';
const SECURE_BOOT = '/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c';

/**
 * Asks systemd about itself and the daemon's service.
 *
 * @param root the root of the host's file system
 */
export function lookAtSystemd(root: string = ''): SystemdFacts {
  const isRunning = existsSync(root + BOOTED);
  const version = ask('systemctl', ['--version']);
  const show = (units: readonly string[], names: readonly string[]): Seen<string> =>
    isRunning
      ? ask('systemctl', ['show', ...units, ...names.flatMap((name) => ['-p', name])])
      : { unseen: 'systemd does not run this host' };
  const look = (): SystemdFacts['service'] => mapSeen(show([SERVICE], PROPERTIES), parseProperties);
  let service = look();
  for (let asked = 1; asked < ASKED_MAX && isAtStart(service); asked++) service = look();
  return {
    isRunning,
    version: mapSeen(version, (text) => text.split('\n', 1)[0] ?? ''),
    service,
    socketUnits: mapSeen(show(SOCKET_UNITS, SOCKET_PROPERTIES), parseUnits),
    dropIns: 'unseen' in service ? service : readDropIns(service.value.get('DropInPaths') ?? ''),
    hasPackagedUnit: INSTALLED.some((folder) => existsSync(`${root}${folder}/systemd/system/${SERVICE}`)),
    refusesNullKey: existsSync(root + TPM2) && isSecureBoot(root + SECURE_BOOT),
  };
}

/** Of one that ends at each start, systemd says why between two starts alone. */
function isAtStart(service: SystemdFacts['service']): boolean {
  if ('unseen' in service) return false;
  return service.value.get('ActiveState') === 'activating' && service.value.get('ExecMainStatus') === '0';
}

/** Properties of several units, by their `Id`: an empty line is between two. */
function parseUnits(text: string): ReadonlyMap<string, ReadonlyMap<string, string>> {
  const units = text.split('\n\n').map(parseProperties);
  return new Map(units.map((properties) => [properties.get('Id') ?? '', properties]));
}

/** Four bytes of attributes, then one of value (UEFI, global variables). */
function isSecureBoot(path: string): boolean {
  const variable = attempt(path, () => readFileSync(path));
  return 'value' in variable && variable.value[4] === 1;
}

/** Paths as systemctl lists them: between blanks, and in quotes where a shell would need them. */
function readDropIns(paths: string): Seen<readonly UnitFile[]> {
  const files: UnitFile[] = [];
  for (const [, quoted, bare] of paths.matchAll(/"((?:[^"\\]|\\.)*)"|(\S+)/g)) {
    const path = quoted?.replaceAll(/\\(.)/g, '$1') ?? bare ?? '';
    const text = readText(path, UNIT_FILE_BYTES_MAX);
    if ('unseen' in text) return text;
    files.push({ path, unit: SERVICE, isDropIn: true, assignments: parseUnitFile(text.value ?? '') });
  }
  return { value: files };
}

function mapSeen<From, To>(seen: Seen<From>, map: (value: From) => To): Seen<To> {
  return 'unseen' in seen ? seen : { value: map(seen.value) };
}
