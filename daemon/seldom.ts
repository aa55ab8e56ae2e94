import type { Log, LogFields } from './log.ts';

/** How often the log says the same. */
export const SAID_AGAIN_MS = 60_000;

/**
 * A log for what peers can have happen without end: a line is written at once, and while it happens again, once in
 * {@link SAID_AGAIN_MS} with how many times it did since. Its words and fields are bounded in number, as each is remembered.
 */
export function seldom(log: Log): Log {
  /** How often what was said happened again, by line. */
  const again = new Map<string, number>();
  const say =
    (level: keyof Log) =>
    (message: string, fields: LogFields = {}): void => {
      const line = `${message} ${JSON.stringify(fields)}`;
      const times = again.get(line);
      if (times !== undefined) {
        again.set(line, times + 1);
        return;
      }
      log[level](message, fields);
      sayAgain(level, line, message, fields);
    };
  const sayAgain = (level: keyof Log, line: string, message: string, fields: LogFields): void => {
    again.set(line, 0);
    setTimeout(() => {
      const times = again.get(line) ?? 0;
      if (times === 0) {
        again.delete(line);
        return;
      }
      log[level](message, times === 1 ? fields : { ...fields, times });
      sayAgain(level, line, message, fields);
    }, SAID_AGAIN_MS).unref();
  };
  return { info: say('info'), warning: say('warning'), error: say('error') };
}
