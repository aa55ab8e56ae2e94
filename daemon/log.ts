import { fstatSync } from 'node:fs';
import { inspect } from 'node:util';

/**
 * Lines of the daemon's log, on standard error. Under systemd each begins with its priority (sd-daemon(3)); on a
 * terminal it is a line to read.
 *
 * Callers choose every word and field. No text that came from a peer, no name and no value is ever passed in here.
 */
export interface Log {
  info(message: string, fields?: LogFields): void;
  warning(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}

export type LogFields = Readonly<Record<string, number | string | boolean>>;

const STDERR = 2;

/** Priorities of syslog(3). */
const PRIORITY = { error: 3, warning: 4, info: 6 } as const;

/**
 * Tells whether standard error goes to systemd's journal: it is the file that `$JOURNAL_STREAM` names (systemd.exec(5)). A
 * terminal whose shell some service started hands on the variable alone.
 */
export function isJournal(stream: string | undefined): boolean {
  if (stream === undefined) return false;
  try {
    const { dev, ino } = fstatSync(STDERR, { bigint: true });
    return stream === `${dev}:${ino}`;
  } catch {
    // It is closed.
    return false;
  }
}

/** @param hasPriorities whether its lines go to the journal, see {@link isJournal} */
export function createLog(write: (line: string) => void, hasPriorities: boolean): Log {
  const line = (level: keyof typeof PRIORITY, message: string, fields: LogFields = {}): void => {
    const prefix = hasPriorities ? `<${PRIORITY[level]}>` : `cio-credentiald: ${level === 'info' ? '' : `${level}: `}`;
    const details = Object.entries(fields).map(([name, value]) => ` ${name}=${String(value)}`);
    write(`${prefix}${onOneLine(`${message}${details.join('')}`)}\n`);
  };
  return {
    info: (message, fields) => line('info', message, fields),
    warning: (message, fields) => line('warning', message, fields),
    error: (message, fields) => line('error', message, fields),
  };
}

/**
 * What of an unexpected error may be logged: its class, its code and where it was thrown. Its message is left out, since
 * it may quote what was being worked on (V8's `JSON.parse` does).
 */
export function describeDefect(error: unknown): LogFields {
  if (!(error instanceof Error)) return { thrown: typeof error };
  const code = (error as NodeJS.ErrnoException).code;
  const frames = stackBehindMessage(error)
    .split('\n')
    .filter((frame) => /^\s+at /.test(frame));
  return {
    class: error.constructor.name,
    ...(typeof code === 'string' ? { code } : {}),
    at: inspect(
      frames
        .slice(0, 8)
        .map((frame) => frame.trim())
        .join(' < '),
    ),
  };
}

/** The message comes first in a stack, and a line of it may look like a frame; empty where it cannot be told apart. */
function stackBehindMessage({ stack = '', message }: Error): string {
  const start = stack.indexOf(message);
  return start < 0 ? '' : stack.slice(start + message.length);
}

/** Nothing that is logged can begin a line of its own, or move the cursor of a terminal. */
function onOneLine(text: string): string {
  return text.replaceAll(/\p{Cc}/gu, (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`);
}
