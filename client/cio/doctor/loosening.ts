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

/** The settings of the daemon's sandbox with one value, and a test for the values that weaken it (systemd.exec(5)). */
const VALUES: ReadonlyMap<string, Test> = new Map([
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
  ['DevicePolicy', isNot('closed', 'strict')],
  ['KeyringMode', isNot('private')],
  ['LimitCORE', isNot('0', '0:0')],
  ['MemorySwapMax', isNot('0')],
  ['NotifyAccess', isNot('main', 'none')],
  ['ProtectHome', (value) => !isOn(value) && value !== 'tmpfs'],
  ['ProtectSystem', isNot('strict')],
  ['StateDirectoryMode', (value) => !isOctal(value) || (parseInt(value, 8) & FOR_OTHERS) !== 0],
  ['UMask', (value) => !isOctal(value) || (~parseInt(value, 8) & FOR_OTHERS) !== 0],
  ['User', (value) => value === 'root' || value === '0' || value === ''],
]);

/** The same for settings that take several assignments. */
const LISTS: ReadonlyMap<string, Test> = new Map([
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
  // With the prefix + or !, a command gets privileges that the unit does not have.
  ['ExecStart', (value) => /^[-@:|]*[+!]/.test(value)],
  ['RestrictAddressFamilies', isNot('AF_UNIX')],
  ['RestrictNamespaces', (value) => !isOn(value)],
  ['SystemCallArchitectures', isNot('native')],
  // A list without ~ adds to the allowed system calls.
  ['SystemCallFilter', (value) => !value.startsWith('~')],
]);

/** Settings that make a folder writable, or mount one: a drop-in that moves the store needs one for its new place. */
const FOLDER_SETTING = /^(?:Bind|ReadWrite)Paths$/;

/**
 * Returns the settings by which drop-ins weaken the sandbox of the unit, each once per drop-in. What a later drop-in
 * takes back does not count: of a setting with one value, only the last assignment does, and an empty value clears a
 * list.
 *
 * @param dropIns in the order in which systemd applies them
 */
export function looseningSettings(dropIns: readonly UnitFile[], stateDirectory: string): Map<UnitFile, string[]> {
  const all = dropIns.flatMap((dropIn) =>
    dropIn.assignments
      .filter(({ section, key }) => section === 'Service' && (VALUES.has(key) || LISTS.has(key)))
      .map(({ key, value }) => ({ dropIn, key, value })),
  );
  const found = new Map<UnitFile, string[]>();
  for (const [index, { dropIn, key, value }] of all.entries()) {
    const test = VALUES.get(key) ?? LISTS.get(key);
    const later = all.slice(index + 1).filter((each) => each.key === key);
    const isTakenBack = later.some((each) => {
      if (LISTS.has(key)) return isReset(each.value);
      // systemd ignores a value that is not a boolean, and the earlier one stays.
      return test !== isOff || isOff(each.value) || isOn(each.value);
    });
    const isLoose = test?.(value) === true;
    if (!isLoose || isTakenBack || (FOLDER_SETTING.test(key) && isFor(stateDirectory, value))) continue;
    found.set(dropIn, [...new Set([...(found.get(dropIn) ?? []), key])]);
  }
  return found;
}

/** Whether all folders of a setting are the state directory. */
function isFor(stateDirectory: string, value: string): boolean {
  return value.split(/\s+/).every((each) => {
    const [source = '', target = source] = each.replace(/^[-+]+/, '').split(':');
    return resolve(target) === stateDirectory;
  });
}
