import { resolve } from 'node:path';
import type { UnitFile } from './unit-file.ts';

type Test = (value: string) => boolean;

const isOff: Test = (value) => /^(?:no|off|false|0|n|f|)$/i.test(value);
const isOn: Test = (value) => /^(?:yes|on|true|1|y|t)$/i.test(value);
const isReset: Test = (value) => value === '';
const isSaid: Test = (value) => value !== '';
const isNot =
  (...kept: readonly string[]): Test =>
  (value) =>
    !kept.includes(value);

/** What lets somebody else in: modes and masks are octal. */
const FOR_OTHERS = 0o077;
const isOctal: Test = (value) => /^[0-7]{1,4}$/.test(value);

/** Settings of the daemon's sandbox, and the values that take something away from it (systemd.exec(5)). */
const LOOSENED_BY: ReadonlyMap<string, Test> = new Map([
  ...[
    'LockPersonality',
    'NoNewPrivileges',
    'PrivateDevices',
    'PrivateIPC',
    'PrivateMounts',
    'PrivateNetwork',
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
  ].map((key) => [key, isOff] as const),
  // What is listed is added to what the unit allows.
  ...[
    'AmbientCapabilities',
    'BindPaths',
    'CapabilityBoundingSet',
    'DeviceAllow',
    'ExecPaths',
    'IPAddressAllow',
    'ReadWritePaths',
    'SupplementaryGroups',
  ].map((key) => [key, isSaid] as const),
  // Empty, they forget what the unit forbids.
  ...['IPAddressDeny', 'InaccessiblePaths', 'NoExecPaths'].map((key) => [key, isReset] as const),
  ['DevicePolicy', isNot('closed', 'strict')],
  // With one of these before it, a command gets rights that the unit has not.
  ['ExecStart', (value) => /^[-@:|]*[+!]/.test(value)],
  ['KeyringMode', isNot('private')],
  ['LimitCORE', isNot('0', '0:0')],
  ['MemorySwapMax', isNot('0')],
  ['NotifyAccess', isNot('main', 'none')],
  ['ProtectHome', (value) => !isOn(value) && value !== 'tmpfs'],
  ['ProtectSystem', isNot('strict')],
  ['RestrictAddressFamilies', isNot('AF_UNIX')],
  ['RestrictNamespaces', (value) => !isOn(value)],
  ['StateDirectoryMode', (value) => !isOctal(value) || (parseInt(value, 8) & FOR_OTHERS) !== 0],
  ['SystemCallArchitectures', isNot('native')],
  // One without ~ adds to what is allowed.
  ['SystemCallFilter', (value) => !value.startsWith('~')],
  ['UMask', (value) => !isOctal(value) || (~parseInt(value, 8) & FOR_OTHERS) !== 0],
  ['User', (value) => value === 'root' || value === '0' || value === ''],
]);

/** A folder that the daemon may write to, or has in another one's place: where its store is, it needs one. */
const FOLDER_SETTING = /^(?:Bind|ReadWrite)Paths$/;

/** The settings by which a drop-in takes something away from the sandbox of the unit, each once. */
export function looseningSettings({ assignments }: UnitFile, stateDirectory: string): string[] {
  const isForStore = (value: string): boolean =>
    value.split(/\s+/).every((each) => {
      const [source = '', target = source] = each.replace(/^[-+]+/, '').split(':');
      return resolve(target) === stateDirectory;
    });
  const found = assignments
    .filter(({ section, key, value }) => section === 'Service' && LOOSENED_BY.get(key)?.(value) === true)
    .filter(({ key, value }) => !FOLDER_SETTING.test(key) || !isForStore(value))
    .map(({ key }) => key);
  return [...new Set(found)];
}
