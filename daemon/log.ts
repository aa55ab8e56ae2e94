import { fstatSync } from 'node:fs';
import { inspect } from 'node:util';

/**
 * Lines of the daemon's log, on standard error. In systemd's journal each begins with its priority (sd-daemon(3)),
 * elsewhere with the name of the program.
 *
 * Callers choose every word and field. No value, no name of a set, and no text that came from a peer is ever passed in
 * here, except the unit and the credential id in a request that is known to be systemd's.
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
 * Tells whether standard error goes to systemd's journal: whether it is the file that `$JOURNAL_STREAM` names
 * (systemd.exec(5)). The variable alone proves nothing: a terminal whose shell was started by a service inherits it.
 */
export function isSystemdJournal(stream: string | undefined): boolean {
  if (stream === undefined) return false;
  try {
    const { dev, ino } = fstatSync(STDERR, { bigint: true });
    return stream === `${dev}:${ino}`;
  } catch {
    // Standard error is closed.
    return false;
  }
}

/** @param hasPriorities whether its lines go to the journal, see {@link isSystemdJournal} */
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
 * Returns what may be logged of an unexpected error: its class, its code and where it was thrown. Its message is left
 * out, since it may quote the data being processed (V8's `JSON.parse` does).
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

/**
 * Returns a stack without the message that it begins with, as a line of the message may look like a frame; empty if the
 * two cannot be told apart.
 */
function stackBehindMessage({ stack = '', message }: Error): string {
  const start = stack.indexOf(message);
  return start < 0 ? '' : stack.slice(start + message.length);
}

/** Escapes control characters, so that nothing that is logged can begin a new line or move the cursor of a terminal. */
function onOneLine(text: string): string {
  return text.replaceAll(/\p{Cc}/gu, (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`);
}
