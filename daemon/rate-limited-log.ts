import type { Log, LogFields } from './log.ts';

/** Shortest time between two lines that say the same. */
export const REPEAT_INTERVAL_MS = 60_000;

/** A rate-limited log that can also report that what it reported is over. */
export interface RateLimitedLog extends Log {
  /**
   * Logs that something is over, after the lines that were held back until then, so that none of them follows it.
   *
   * @param isResolved called if this line was held back itself, before it is written; it is written only if this
   *   returns true
   */
  resolved(message: string, isResolved: () => boolean): void;
}

/** A line that was written, and how often it was held back since. */
interface Line {
  times: number;
  readonly write: (times: number) => void;
}

/**
 * Makes a rate-limited log, for events that peers can cause without end. A line is written at once; while it recurs, it
 * is written once every {@link REPEAT_INTERVAL_MS}, with how many times it recurred. Each distinct line is remembered,
 * so there must be a bounded number of them.
 */
export function rateLimited(log: Log): RateLimitedLog {
  const lines = new Map<string, Line>();
  const remember = (key: string, line: Line): void => {
    lines.set(key, line);
    setTimeout(() => {
      if (writeRepeats(line)) remember(key, line);
      else lines.delete(key);
    }, REPEAT_INTERVAL_MS).unref();
  };
  const writeOrCount = (key: string, write: Line['write']): void => {
    const line = lines.get(key);
    if (line !== undefined) {
      line.times += 1;
      return;
    }
    write(1);
    remember(key, { times: 0, write });
  };
  const writeAt =
    (level: keyof Log) =>
    (message: string, fields: LogFields = {}): void =>
      writeOrCount(`${message} ${JSON.stringify(fields)}`, (times) =>
        log[level](message, times === 1 ? fields : { ...fields, times }),
      );
  return {
    info: writeAt('info'),
    warning: writeAt('warning'),
    error: writeAt('error'),
    resolved: (message, isResolved) => {
      let isNew = true;
      writeOrCount(message, () => {
        if (!isNew && !isResolved()) return;
        isNew = false;
        for (const line of lines.values()) writeRepeats(line);
        log.info(message);
      });
    },
  };
}

/** Writes a line that recurred, with its count; false if it did not recur. */
function writeRepeats(line: Line): boolean {
  const { times } = line;
  line.times = 0;
  if (times > 0) line.write(times);
  return times > 0;
}
