import { closeSync, openSync, readFileSync, readSync } from 'node:fs';

/** A mapping of a process's memory. */
interface Mapping {
  readonly start: number;
  readonly bytes: number;
  readonly what: string;
}

const PIECE_BYTES = 16 * 1024 * 1024;

/** Returns what a core dump of a process would contain: all writable memory, read through /proc as root. */
export function memoryOf(pid: number): readonly Buffer[] {
  const memory = openSync(`/proc/${pid}/mem`, 'r');
  try {
    return writableMappings(pid).flatMap((mapping) => [...readMapping(memory, mapping)]);
  } finally {
    closeSync(memory);
  }
}

/** Counts the occurrences of some bytes. */
export function countIn(memory: readonly Buffer[], needle: Uint8Array): number {
  let count = 0;
  for (const piece of memory) {
    for (let place = piece.indexOf(needle); place >= 0; place = piece.indexOf(needle, place + needle.length))
      count += 1;
  }
  return count;
}

function writableMappings(pid: number): Mapping[] {
  return readFileSync(`/proc/${pid}/maps`, 'utf8')
    .trim()
    .split('\n')
    .flatMap((line) => {
      const [, from = '', to = '', rights = '', what = ''] =
        /^([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ \d+\s*(.*)$/.exec(line) ?? [];
      const start = Number.parseInt(from, 16);
      return rights.startsWith('rw') ? [{ start, bytes: Number.parseInt(to, 16) - start, what }] : [];
    });
}

/** Yields the readable parts: pages that were never touched cannot be read on every kernel. */
function* readMapping(memory: number, { start, bytes }: Mapping): Generator<Buffer> {
  for (let offset = 0; offset < bytes; offset += PIECE_BYTES) {
    const piece = Buffer.alloc(Math.min(PIECE_BYTES, bytes - offset));
    try {
      const length = readSync(memory, piece, 0, piece.length, start + offset);
      yield piece.subarray(0, length);
    } catch (error) {
      if (!['EIO', 'EFAULT'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
    }
  }
}
