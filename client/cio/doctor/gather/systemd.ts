import { existsSync, readFileSync } from 'node:fs';
import type { SystemdFacts } from '../facts.ts';
import { LOAD_SOCKETS, PROBE_SOCKET, SERVICE, SOCKET_UNIT } from '../places.ts';
import { parseUnitFile, type UnitFile } from '../unit-file.ts';
import type { Seen } from '../verdict.ts';
import { attempt, readText } from './files.ts';
import { ask, parseProperties } from './run.ts';
import { UNIT_FILE_BYTES_MAX } from './units.ts';

/** sd_booted(3) asks for this folder. */
const BOOTED = '/run/systemd/system';
const PROPERTIES = [
  'LoadState',
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
const SOCKET_PROPERTIES = ['Id', 'ActiveState', 'UnitFileState'];

/** The kernel's resource manager of a TPM2, as systemd looks for it. */
const TPM2 = '/sys/class/tpmrm/tpmrm0';
const SECURE_BOOT = '/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c';

/** Asks systemd about itself and the daemon's service. */
export function lookAtSystemd(): SystemdFacts {
  const isRunning = existsSync(BOOTED);
  const version = ask('systemctl', ['--version']);
  const show = (units: readonly string[], names: readonly string[]): Seen<string> =>
    isRunning
      ? ask('systemctl', ['show', ...units, ...names.flatMap((name) => ['-p', name])])
      : { unseen: 'systemd does not run this host' };
  const service = mapSeen(show([SERVICE], PROPERTIES), parseProperties);
  return {
    isRunning,
    version: mapSeen(version, (text) => text.split('\n', 1)[0] ?? ''),
    service,
    socketUnits: mapSeen(show(SOCKET_UNITS, SOCKET_PROPERTIES), parseUnits),
    dropIns: 'unseen' in service ? service : readDropIns(service.value.get('DropInPaths') ?? ''),
    hasPackagedUnit: existsSync(`/usr/lib/systemd/system/${SERVICE}`),
    refusesNullKey: existsSync(TPM2) && isSecureBoot(),
  };
}

/** Properties of several units, by their `Id`: an empty line is between two. */
function parseUnits(text: string): ReadonlyMap<string, ReadonlyMap<string, string>> {
  const units = text.split('\n\n').map(parseProperties);
  return new Map(units.map((properties) => [properties.get('Id') ?? '', properties]));
}

/** Four bytes of attributes, then one of value (UEFI, global variables). */
function isSecureBoot(): boolean {
  const variable = attempt(SECURE_BOOT, () => readFileSync(SECURE_BOOT));
  return 'value' in variable && variable.value[4] === 1;
}

/** Paths as systemctl lists them: between blanks, and in quotes where there are blanks in them. */
function readDropIns(paths: string): Seen<readonly UnitFile[]> {
  const files: UnitFile[] = [];
  for (const [, quoted, bare] of paths.matchAll(/"([^"]*)"|(\S+)/g)) {
    const path = quoted ?? bare ?? '';
    const text = readText(path, UNIT_FILE_BYTES_MAX);
    if ('unseen' in text) return text;
    files.push({ path, unit: SERVICE, isDropIn: true, assignments: parseUnitFile(text.value ?? '') });
  }
  return { value: files };
}

function mapSeen<From, To>(seen: Seen<From>, map: (value: From) => To): Seen<To> {
  return 'unseen' in seen ? seen : { value: map(seen.value) };
}
