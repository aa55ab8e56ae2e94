import type { Log, LogFields } from './log.ts';

/** How often the log says the same. */
export const SAID_AGAIN_MS = 60_000;

/** A log that is told as well when what it says is over. */
export interface SeldomLog extends Log {
  /**
   * Says that it is over, behind all that was left out until then, which is not said any more afterwards.
   *
   * @param isOver asked where it was left out at first, before it is said later
   */
  over(message: string, isOver: () => boolean): void;
}

/** A line that was said, and happened again since. */
interface Line {
  times: number;
  readonly say: (times: number) => void;
}

/**
 * A log for what peers can have happen without end: a line is written at once, and while it happens again, once in
 * {@link SAID_AGAIN_MS} with how many times it did since. Its words and fields are bounded in number, as each is remembered.
 */
export function seldom(log: Log): SeldomLog {
  const lines = new Map<string, Line>();
  const remember = (key: string, line: Line): void => {
    lines.set(key, line);
    setTimeout(() => {
      if (sayAgain(line)) remember(key, line);
      else lines.delete(key);
    }, SAID_AGAIN_MS).unref();
  };
  const sayOnce = (key: string, say: Line['say']): void => {
    const line = lines.get(key);
    if (line !== undefined) {
      line.times += 1;
      return;
    }
    say(1);
    remember(key, { times: 0, say });
  };
  const write =
    (level: keyof Log) =>
    (message: string, fields: LogFields = {}): void =>
      sayOnce(`${message} ${JSON.stringify(fields)}`, (times) =>
        log[level](message, times === 1 ? fields : { ...fields, times }),
      );
  return {
    info: write('info'),
    warning: write('warning'),
    error: write('error'),
    over: (message, isOver) => {
      let isNew = true;
      sayOnce(message, () => {
        if (!isNew && !isOver()) return;
        isNew = false;
        for (const line of lines.values()) sayAgain(line);
        log.info(message);
      });
    },
  };
}

/** Says a line that happened again; false where it did not. */
function sayAgain(line: Line): boolean {
  const { times } = line;
  line.times = 0;
  if (times > 0) line.say(times);
  return times > 0;
}
