import { readFileSync } from 'node:fs';

/** The time that the processors spent on work other than the bench, as fractions of their total time. */
export interface Disturbance {
  /** Other processes of this machine; in a container, also those of its host. */
  readonly others: number;
  /** Stolen: the host of a virtual machine gave the time to others. */
  readonly stolen: number;
}

/** More than this affects the ratios, and even more their spread. */
const DISTURBING_PART = 0.1;

interface Times {
  readonly all: number;
  readonly busy: number;
  readonly stolen: number;
  readonly own: number;
}

/**
 * Starts watching. @returns a function that tells the disturbance since; to be called when all child processes have
 * ended
 */
export function watchDisturbance(): () => Disturbance {
  const before = now();
  return () => {
    const after = now();
    const since = (what: keyof Times): number => after[what] - before[what];
    const all = Math.max(1, since('all'));
    return { others: Math.max(0, since('busy') - since('own')) / all, stolen: since('stolen') / all };
  };
}

export function isDisturbing({ others, stolen }: Disturbance): boolean {
  return others + stolen > DISTURBING_PART;
}

/** In ticks of `USER_HZ`: the first line of /proc/stat (proc_stat(5)), and fields 14 to 17 of this process's stat. */
function now(): Times {
  const machine = readFileSync('/proc/stat', 'latin1').split('\n')[0] ?? '';
  const [user = 0, nice = 0, system = 0, idle = 0, waiting = 0, irq = 0, softIrq = 0, stolen = 0] = machine
    .split(/\s+/)
    .slice(1)
    .map(Number);
  const busy = user + nice + system + irq + softIrq;
  const stat = readFileSync('/proc/self/stat', 'latin1');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  // Of this process, and of its descendants that have been waited for.
  const own = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
  return { all: busy + idle + waiting + stolen, busy, stolen, own };
}
