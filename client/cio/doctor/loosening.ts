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

/** The permission bits of the group and of others. Modes and masks in settings are octal. */
const FOR_OTHERS = 0o077;
const isOctal: Test = (value) => /^[0-7]{1,4}$/.test(value);

/** The settings of the daemon's sandbox, and a test for the values that weaken it (systemd.exec(5)). */
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
  // Lists that add to what the unit allows.
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
  // Lists of what the unit forbids: an empty value clears them.
  ...['IPAddressDeny', 'InaccessiblePaths', 'NoExecPaths'].map((key) => [key, isReset] as const),
  ['DevicePolicy', isNot('closed', 'strict')],
  // With the prefix + or !, a command gets privileges that the unit does not have.
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
  // A list without ~ adds to the allowed system calls.
  ['SystemCallFilter', (value) => !value.startsWith('~')],
  ['UMask', (value) => !isOctal(value) || (~parseInt(value, 8) & FOR_OTHERS) !== 0],
  ['User', (value) => value === 'root' || value === '0' || value === ''],
]);

/** Settings that make a folder writable, or mount one: a drop-in that moves the store needs one for its new place. */
const FOLDER_SETTING = /^(?:Bind|ReadWrite)Paths$/;

/** Returns the settings by which a drop-in weakens the sandbox of the unit, each once. */
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
