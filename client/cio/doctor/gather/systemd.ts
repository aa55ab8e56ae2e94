import { existsSync, readFileSync } from 'node:fs';
import type { SystemdFacts } from '../facts.ts';
import { LOAD_SOCKETS, PROBE_SOCKET, SERVICE, SOCKET_UNIT } from '../places.ts';
import { parseUnitFile, type UnitFile } from '../unit-file.ts';
import type { Seen } from '../verdict.ts';
import { readText, trySee } from './files.ts';
import { ask, parseProperties } from './run.ts';
import { UNIT_FILE_BYTES_MAX } from './units.ts';

/** Limit for asking systemd: about a second, in which a crashing service restarts repeatedly (`RestartSec=`). */
const ASKED_MAX = 50;

/** sd_booted(3) checks for this folder. */
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

/** Where the units are of the package, and of an installation from a checkout. */
const INSTALLED: readonly string[] = ['/usr/lib', '/usr/local/lib'];

/** The kernel's resource manager for a TPM2; systemd looks for the same file. */
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
      : { unseen: 'this host does not run systemd' };
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

/** Whether the service is just starting. systemd reports why a crashing service fails only between two starts. */
function isAtStart(service: SystemdFacts['service']): boolean {
  if ('unseen' in service) return false;
  return service.value.get('ActiveState') === 'activating' && service.value.get('ExecMainStatus') === '0';
}

/** Parses the properties of several units, by their `Id`. An empty line separates two units. */
function parseUnits(text: string): ReadonlyMap<string, ReadonlyMap<string, string>> {
  const units = text.split('\n\n').map(parseProperties);
  return new Map(units.map((properties) => [properties.get('Id') ?? '', properties]));
}

/** Reads an EFI variable: four bytes of attributes, then the value in one byte (UEFI, global variables). */
function isSecureBoot(path: string): boolean {
  const variable = trySee(path, () => readFileSync(path));
  return 'value' in variable && variable.value[4] === 1;
}

/** Reads the drop-ins that systemctl lists: paths between blanks, in quotes where a shell would need them. */
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
