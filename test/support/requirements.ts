import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { lockLimit } from './process-limits.ts';

/** Something that a test needs and that not every machine has; says what is missing, or nothing. */
export type Requirement = () => string | undefined;

/** What Linux gives everybody, up to 5.15. */
const LOCKED_KIBIBYTES = 64;

/** The reason to skip a test, for its `skip` option: what is missing of what it needs. False where nothing is. */
export function skipUnless(...requirements: readonly Requirement[]): string | false {
  const missing = requirements.map((requirement) => requirement()).filter((reason) => reason !== undefined);
  return missing.length > 0 && `needs ${missing.join(', ')}`;
}

/** A command of a Debian package, on this host or below another root. */
export function command(name: string, debianPackage: string = name, below = '/'): Requirement {
  const where = below === '/' ? '' : ` in ${below}`;
  return () => (findCommand(name, below) === undefined ? `${name}${where} (Debian: ${debianPackage})` : undefined);
}

/** To become other users. */
export function root(): string | undefined {
  if (process.geteuid?.() !== 0) return 'root';
  return hasCapabilities(CAP_SETGID, CAP_SETUID) && hasAllUsers() ? undefined : 'root that may become any other user';
}

/** To listen at ::1. */
export function ipv6(): string | undefined {
  const interfaces = Object.values(os.networkInterfaces()).flat();
  return interfaces.some((each) => each?.address === '::1') ? undefined : 'IPv6 (the address ::1)';
}

/** To lock the pages of keys, and a little more. */
export function lockedMemory(): string | undefined {
  return lockLimit() >= LOCKED_KIBIBYTES * 1024
    ? undefined
    : `memory that may be locked (ulimit -Hl ${LOCKED_KIBIBYTES})`;
}

/** To look into a process that does not let its own user, as the daemon does not. */
export function tracingOfOthers(): string | undefined {
  return hasCapabilities(CAP_SYS_PTRACE) ? undefined : 'the right to trace any process (CAP_SYS_PTRACE)';
}

/** To trace a process that one started: strace, and a kernel that lets it. */
export function tracer(): string | undefined {
  const strace = findCommand('strace');
  if (strace === undefined) return command('strace')();
  const { status, stderr } = spawnSync(strace, ['-qq', '-o', '/dev/null', 'true'], { encoding: 'utf8' });
  return status === 0 ? undefined : `the right to trace (strace says: ${stderr.trim().split('\n')[0] ?? ''})`;
}

/** capabilities(7), the number of the bit. */
const CAP_SETGID = 6;
const CAP_SETUID = 7;
const CAP_SYS_PTRACE = 19;

function hasCapabilities(...capabilities: readonly number[]): boolean {
  const effective = /^CapEff:\s+([0-9a-f]+)$/m.exec(fs.readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0';
  return capabilities.every((bit) => ((BigInt(`0x${effective}`) >> BigInt(bit)) & 1n) === 1n);
}

/** Up to `nobody`; in a user namespace there may be root alone. */
const USERS_MIN = 65_535;

function hasAllUsers(): boolean {
  const counts = fs.readFileSync('/proc/self/uid_map', 'utf8').trim().split('\n');
  return counts.reduce((sum, line) => sum + Number(line.trim().split(/\s+/)[2]), 0) >= USERS_MIN;
}

/** Where Debian has a command; whatever else is in PATH is not asked. */
export function findCommand(name: string, below = '/'): string | undefined {
  return ['/usr/bin', '/bin', '/usr/sbin', '/sbin', '/usr/local/bin']
    .map((directory) => path.join(below, directory, name))
    .find((file) => fs.existsSync(file));
}
