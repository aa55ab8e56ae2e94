import { readFileSync } from 'node:fs';

/** What the processors were busy with besides the bench, as parts of all the time that they had. */
export interface Disturbance {
  /** Other processes of this machine; of a container's, also those of its host. */
  readonly others: number;
  /** Not had at all: the host of a virtual machine gave it to others. */
  readonly stolen: number;
}

/** More than that shows in the ratios, and still more in the spread. */
const DISTURBING_PART = 0.1;

interface Times {
  readonly all: number;
  readonly busy: number;
  readonly stolen: number;
  readonly own: number;
}

/** Begins to watch. @returns what tells how it was from then on; to be asked when all that was started has ended */
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

/** In ticks of `USER_HZ`: the first line of /proc/stat (proc_stat(5)), and fields 14 to 17 of the process's own. */
function now(): Times {
  const machine = readFileSync('/proc/stat', 'latin1').split('\n')[0] ?? '';
  const [user = 0, nice = 0, system = 0, idle = 0, waiting = 0, irq = 0, softIrq = 0, stolen = 0] = machine
    .split(/\s+/)
    .slice(1)
    .map(Number);
  const busy = user + nice + system + irq + softIrq;
  const stat = readFileSync('/proc/self/stat', 'latin1');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  // Its own, and that of its children and theirs, once they were waited for.
  const own = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
  return { all: busy + idle + waiting + stolen, busy, stolen, own };
}
