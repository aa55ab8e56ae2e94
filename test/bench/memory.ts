import { readFileSync } from 'node:fs';

/** Memory of a process, in MiB. */
export interface Memory {
  /** All pages that it has in memory, those included that it shares with others (the code of Node, above all). */
  readonly rss: number;
  /** The same, with shared pages divided among those who share them; undefined where we may not know. */
  readonly pss: number | undefined;
}

/** The process's own kernel tables; Pss of a process that is not dumpable (the daemon) is for root only. */
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
