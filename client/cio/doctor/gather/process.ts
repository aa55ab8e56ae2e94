import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { dirname } from 'node:path';
import type { ProcessFacts } from '../facts.ts';
import type { Seen } from '../verdict.ts';
import { codeOf, readText, trySee } from './files.ts';

/** Looks at a process in /proc. Its files are read whole: the kernel limits their size. */
export function lookAtProcess(pid: number, uid: number): Seen<ProcessFacts> {
  const folder = `/proc/${pid}`;
  const status = trySee(`${folder}/status`, () => readFileSync(`${folder}/status`, 'latin1'));
  if ('unseen' in status) return status;
  const fields = parseStatus(status.value);
  const uids = (fields.get('Uid') ?? '').split(/\s+/).map(Number);
  // The daemon may be in another pid namespace, where the pid means another process.
  if (uids[1] !== uid) return { unseen: `process ${pid} is not the daemon here` };
  const cgroup = trySee(`${folder}/cgroup`, () => readFileSync(`${folder}/cgroup`, 'latin1'));
  return {
    value: {
      uids,
      noNewPrivileges: fields.get('NoNewPrivs'),
      seccomp: fields.get('Seccomp'),
      effectiveCapabilities: fields.get('CapEff'),
      boundingCapabilities: fields.get('CapBnd'),
      unit: 'unseen' in cgroup ? cgroup : { value: unitOfCgroup(cgroup.value) },
      coreLimit: coreLimitOf(folder),
      hasOwnNetwork: trySee(`${folder}/ns/net`, () => {
        return readlinkSync(`${folder}/ns/net`) !== readlinkSync('/proc/1/ns/net');
      }),
      swapMax: 'unseen' in cgroup ? cgroup : swapMaxOf(cgroup.value),
    },
  };
}

/** Parses the fields of /proc/<pid>/status (proc_pid_status(5)). */
export function parseStatus(text: string): ReadonlyMap<string, string> {
  return new Map(
    text.split('\n').flatMap((line) => {
      const colon = line.indexOf(':');
      return colon === -1 ? [] : [[line.slice(0, colon), line.slice(colon + 1).trim()] as const];
    }),
  );
}

/**
 * Returns the system unit of a process: the first part of its cgroup's path that is not a slice. The path of a cgroup
 * outside the cgroup namespace of this process begins with `..` (cgroup_namespaces(7)).
 */
export function unitOfCgroup(text: string): string | undefined {
  for (const line of text.split('\n')) {
    const path = /^(?:0:|\d+:name=systemd):(\/.*)$/.exec(line)?.[1];
    const part = path?.split('/').find((name) => !/^(?:\.\.)?$|\.slice$/.test(name));
    if (part !== undefined) return part;
  }
  return undefined;
}

function coreLimitOf(folder: string): ProcessFacts['coreLimit'] {
  const limits = trySee(`${folder}/limits`, () => readFileSync(`${folder}/limits`, 'latin1'));
  if ('unseen' in limits) return limits;
  const match = /^Max core file size\s+(\S+)\s+(\S+)/m.exec(limits.value);
  return match === null
    ? { unseen: `${folder}/limits is not understood` }
    : { value: { soft: match[1] ?? '', hard: match[2] ?? '' } };
}

function swapMaxOf(cgroup: string): Seen<string | undefined> {
  const path = /^0::(\/.*)$/m.exec(cgroup)?.[1];
  if (path === undefined) return { value: undefined };
  const text = readText(`/sys/fs/cgroup${path}/memory.swap.max`, 64);
  return 'unseen' in text ? text : { value: text.value?.trim() };
}

/**
 * Whether the process holds the socket that listens at a path. The kernel's list of sockets is read for two network
 * namespaces: that of the process, and that of the caller, in which systemd creates its sockets.
 */
export function holdsSocket(pid: number, path: string): Seen<boolean> {
  const inodes = new Set(['self', `${pid}`].flatMap((process) => listeningInodes(process, path)));
  if (inodes.size === 0) return { unseen: `the kernel lists no socket ${path} here` };
  const folder = `/proc/${pid}/fd`;
  const descriptors = trySee(folder, () => readdirSync(folder));
  if ('unseen' in descriptors) return descriptors;
  const targets = descriptors.value.map((descriptor) => seeDescriptor(`${folder}/${descriptor}`));
  if (targets.some((target) => 'value' in target && inodes.has(target.value))) return { value: true };
  return targets.find((target) => 'unseen' in target) ?? { value: false };
}

/**
 * Returns what a descriptor refers to. Root without CAP_SYS_PTRACE, as in a container, may list the descriptors of a
 * process that is not dumpable, but not read them. Any other failure is a descriptor that was closed meanwhile.
 */
function seeDescriptor(path: string): Seen<string> {
  try {
    return { value: readlinkSync(path) };
  } catch (error) {
    return codeOf(error) === 'EACCES'
      ? { unseen: `${dirname(path)} is visible only with CAP_SYS_PTRACE` }
      : { value: '' };
  }
}

/** The flags of a listening socket in /proc/net/unix (`__SO_ACCEPTCON`). */
const LISTENING = '00010000';

function listeningInodes(process: string, path: string): string[] {
  const list = trySee(path, () => readFileSync(`/proc/${process}/net/unix`, 'utf8'));
  if ('unseen' in list) return [];
  return list.value.split('\n').flatMap((line) => {
    // Num RefCount Protocol Flags Type St Inode Path
    const [, , , flags, , , inode, ...rest] = line.trim().split(/\s+/);
    return flags === LISTENING && rest.join(' ') === path ? [`socket:[${inode}]`] : [];
  });
}
