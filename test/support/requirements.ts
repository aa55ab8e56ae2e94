import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { lockLimit } from './process-limits.ts';

/** Something that a test needs and that not every machine has. Returns what is missing, or undefined. */
export type Requirement = () => string | undefined;

/** The limit that Linux up to 5.15 gives every user. */
const LOCKED_KIBIBYTES = 64;

/**
 * Returns the reason to skip a test, for its `skip` option: the missing requirements. Returns false if nothing is
 * missing.
 */
export function skipUnless(...requirements: readonly Requirement[]): string | false {
  const missing = requirements.map((requirement) => requirement()).filter((reason) => reason !== undefined);
  return missing.length > 0 && `needs ${missing.join(', ')}`;
}

/** A command of a Debian package, on this host or below another root folder. */
export function command(name: string, debianPackage: string = name, below = '/'): Requirement {
  const where = below === '/' ? '' : ` in ${below}`;
  return () => (findCommand(name, below) === undefined ? `${name}${where} (Debian: ${debianPackage})` : undefined);
}

/** The right to become other users. */
export function root(): string | undefined {
  if (process.geteuid?.() !== 0) return 'root';
  return hasCapabilities(CAP_SETGID, CAP_SETUID) && hasAllUsers() ? undefined : 'root that may become any other user';
}

/** The address ::1 to listen on. */
export function ipv6(): string | undefined {
  const interfaces = Object.values(os.networkInterfaces()).flat();
  return interfaces.some((each) => each?.address === '::1') ? undefined : 'IPv6 (the address ::1)';
}

/** Enough lockable memory for the pages that hold keys, and a little more. */
export function lockedMemory(): string | undefined {
  return lockLimit() >= LOCKED_KIBIBYTES * 1024
    ? undefined
    : `memory that may be locked (ulimit -Hl ${LOCKED_KIBIBYTES})`;
}

/** The right to trace a process that is not dumpable, such as the daemon. */
export function tracingOfOthers(): string | undefined {
  return hasCapabilities(CAP_SYS_PTRACE) ? undefined : 'the right to trace any process (CAP_SYS_PTRACE)';
}

/** strace, and a kernel that permits tracing one's own child processes. */
export function tracer(): string | undefined {
  const strace = findCommand('strace');
  if (strace === undefined) return command('strace')();
  const { status, stderr } = spawnSync(strace, ['-qq', '-o', '/dev/null', 'true'], { encoding: 'utf8' });
  return status === 0 ? undefined : `the right to trace (strace says: ${stderr.trim().split('\n')[0] ?? ''})`;
}

/** Numbers of capability bits, from capabilities(7). */
const CAP_SETGID = 6;
const CAP_SETUID = 7;
const CAP_SYS_PTRACE = 19;

function hasCapabilities(...capabilities: readonly number[]): boolean {
  const effective = /^CapEff:\s+([0-9a-f]+)$/m.exec(fs.readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0';
  return capabilities.every((bit) => ((BigInt(`0x${effective}`) >> BigInt(bit)) & 1n) === 1n);
}

/** All uids up to `nobody`. A user namespace may map root only. */
const USERS_MIN = 65_535;

function hasAllUsers(): boolean {
  const counts = fs.readFileSync('/proc/self/uid_map', 'utf8').trim().split('\n');
  return counts.reduce((sum, line) => sum + Number(line.trim().split(/\s+/)[2]), 0) >= USERS_MIN;
}

/** Finds a command in the places where Debian installs commands, without regard to PATH. */
export function findCommand(name: string, below = '/'): string | undefined {
  return ['/usr/bin', '/bin', '/usr/sbin', '/sbin', '/usr/local/bin']
    .map((directory) => path.join(below, directory, name))
    .find((file) => fs.existsSync(file));
}
