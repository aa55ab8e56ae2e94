import { readFileSync } from 'node:fs';

/** Memory of a process, in MiB. */
export interface Memory {
  /** All resident pages, including those shared with other processes (above all, Node's code). */
  readonly rss: number;
  /** The same, with shared pages divided among the processes sharing them; undefined if it may not be read. */
  readonly pss: number | undefined;
}

/** Reads the memory of a process. Only root may read the Pss of a process that is not dumpable, such as the daemon. */
export function memoryOf(pid: number): Memory {
  const rss = kibibytes(`/proc/${pid}/status`, 'VmRSS');
  if (rss === undefined) throw new Error(`process ${pid} is gone`);
  const pss = kibibytes(`/proc/${pid}/smaps_rollup`, 'Pss');
  return { rss: rss / 1024, pss: pss === undefined ? undefined : pss / 1024 };
}

function kibibytes(file: string, field: string): number | undefined {
  try {
    const value = new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(readFileSync(file, 'latin1'))?.[1];
    return value === undefined ? undefined : Number(value);
  } catch {
    return undefined;
  }
}
