import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

/** An action of a process that a disk or a client can see. */
export type DiskEvent =
  | { readonly kind: 'create'; readonly path: string }
  | { readonly kind: 'write'; readonly path: string; readonly offset: number | undefined; readonly data: Buffer }
  | { readonly kind: 'truncate'; readonly path: string; readonly length: number }
  | { readonly kind: 'sync'; readonly path: string }
  | { readonly kind: 'link' | 'rename'; readonly from: string; readonly path: string }
  | { readonly kind: 'unlink'; readonly path: string }
  /** Replies sent over a connection, counted by their terminating NUL. */
  | { readonly kind: 'answers'; readonly count: number; readonly socket: string };

/**
 * All system calls that change a file, and all by which a reply can leave. "?" allows names that strace may not know:
 * arm64 has only the newer calls of a kind.
 */
const SYSTEM_CALLS =
  'openat,pwrite64,write,writev,sendmsg,sendto,fsync,fdatasync,ftruncate,' +
  '?rename,renameat,renameat2,?link,linkat,?unlink,unlinkat';

/** The longest string that strace prints. The largest write is a value with its message around it. */
const STRING_BYTES_MAX = 4_000_000;

/** Whole strings and paths in hexadecimal, and descriptors with their paths. */
export const TRACE_FORMAT: readonly string[] = ['-xx', '-y', '-s', `${STRING_BYTES_MAX}`];

/** Returns the command prefix that records a command for {@link readTrace}, each thread into a file of its own. */
export function traced(output: string): string[] {
  return ['strace', '-ff', '-qq', ...TRACE_FORMAT, '-o', output, `--trace=${SYSTEM_CALLS}`];
}

/**
 * Returns what the main thread of a traced process did below a directory, in order. SQLite and the sockets are used by
 * that thread only. The process is the one with the largest file, as launchers do little.
 */
export function readTrace(output: string, directory: string): DiskEvent[] {
  const folder = path.dirname(output);
  const files = readdirSync(folder)
    .filter((name) => name.startsWith(`${path.basename(output)}.`))
    .map((name) => readFileSync(path.join(folder, name), 'latin1'));
  const [largest = ''] = files.toSorted((a, b) => b.length - a.length);
  return largest.split('\n').flatMap((line) => parseLine(line, directory) ?? []);
}

/** Returns the writes of a thread, with their targets, from its file of such a trace. */
export function readWrites(trace: string): { readonly target: string; readonly data: Buffer }[] {
  return trace.split('\n').flatMap((line) => {
    const [, , rest = '', result = '-1'] = CALL.exec(line) ?? [];
    if (Number(result) <= 0) return [];
    return [{ target: targetIn(rest), data: Buffer.concat(stringsIn(rest)).subarray(0, Number(result)) }];
  });
}

const CALL = /^(\w+)\((.*)\)\s+= (-?\d+)/s;

function parseLine(line: string, directory: string): DiskEvent | undefined {
  const [, name = '', rest = '', result = '-1'] = CALL.exec(line) ?? [];
  if (Number(result) < 0) return undefined;
  const strings = stringsIn(rest);
  const target = targetIn(rest);
  const numbers = rest.split(', ').map(Number);
  const isBelow = (text: string): boolean => text === directory || text.startsWith(`${directory}/`);
  const [from = '', to = ''] = strings.map(String);
  switch (name) {
    case 'openat':
      return isBelow(from) && rest.includes('O_CREAT') ? { kind: 'create', path: from } : undefined;
    case 'pwrite64':
    case 'write':
    case 'writev':
    case 'sendmsg':
    case 'sendto': {
      const data = Buffer.concat(strings).subarray(0, Number(result));
      if (target.startsWith('socket:')) return answersIn(data, target);
      if (!isBelow(target)) return undefined;
      return { kind: 'write', path: target, offset: name === 'pwrite64' ? numbers.at(-1) : undefined, data };
    }
    case 'fsync':
    case 'fdatasync':
      return isBelow(target) ? { kind: 'sync', path: target } : undefined;
    case 'ftruncate':
      return isBelow(target) ? { kind: 'truncate', path: target, length: numbers.at(-1) ?? 0 } : undefined;
    case 'link':
    case 'linkat':
      return isBelow(to) ? { kind: 'link', from, path: to } : undefined;
    case 'rename':
    case 'renameat':
      return isBelow(to) ? { kind: 'rename', from, path: to } : undefined;
    case 'unlink':
    case 'unlinkat':
      if (isBelow(from) && rest.includes('AT_REMOVEDIR')) throw notFollowed('rmdir');
      return isBelow(from) ? { kind: 'unlink', path: from } : undefined;
    case 'renameat2':
      if (isBelow(from)) throw notFollowed(name);
      return undefined;
    default:
      return undefined;
  }
}

function notFollowed(call: string): Error {
  return new Error(`the trace has a ${call}, which is not followed`);
}

function answersIn(data: Buffer, socket: string): DiskEvent | undefined {
  const count = data.filter((byte) => byte === 0).length;
  return count === 0 ? undefined : { kind: 'answers', count, socket };
}

function stringsIn(rest: string): Buffer[] {
  return [...rest.matchAll(/"((?:\\x[0-9a-f]{2})*)"/g)].map(([, text = '']) => bytesOf(text));
}

/** Returns the path of the first descriptor, or what else it is. */
function targetIn(rest: string): string {
  const [, text = ''] = /<((?:\\x[0-9a-f]{2})*)>/.exec(rest) ?? [];
  return bytesOf(text).toString();
}

function bytesOf(text: string): Buffer {
  return Buffer.from(text.replaceAll('\\x', ''), 'hex');
}
