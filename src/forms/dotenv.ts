/** Characters that mean themselves to every reader, without quotes: docker(1) `--env-file`, which knows none, included. */
const PLAIN = /^[A-Za-z0-9_@%+=:,./-]+$/;

/** What in single quotes is something else to one of the readers: their end, a pair of backslashes, one before the quote. */
const UNFIT_FOR_SINGLE = /['\r]|\\(?:\\|$)/;

/** An environment file, and what somebody who has it read should know. */
export interface DotenvFile {
  readonly text: string;
  /** The variables in it that have quotes around them. */
  readonly quoted: readonly string[];
  /** The variables that not every reader reads as they are, each with these readers. Docker Compose is never one. */
  readonly misread: ReadonlyMap<string, readonly string[]>;
}

/**
 * Variables as a `.env` file, which Docker Compose (`github.com/compose-spec/compose-go/dotenv`), the dotenv libraries of
 * Node and Python, `sh` and systemd's `EnvironmentFile=` read alike as far as there is such a form: plain where no reader
 * needs quotes; else in single quotes, within which nothing is replaced; else in double quotes. What needs a backslash
 * there is written as Compose has it: a backtick is a number then, and to a shell that is given the file no command.
 */
export function formatDotenv(variables: ReadonlyMap<string, string>): DotenvFile {
  const entries = [...variables];
  return {
    text: entries.map(([name, value]) => `${name}=${quote(value)}\n`).join(''),
    quoted: entries.flatMap(([name, value]) => (PLAIN.test(value) ? [] : [name])),
    misread: new Map(
      entries.flatMap(([name, value]) => {
        const readers = misreadersOf(value);
        return readers.length === 0 ? [] : [[name, readers] as const];
      }),
    ),
  };
}

function quote(value: string): string {
  if (PLAIN.test(value)) return value;
  if (!UNFIT_FOR_SINGLE.test(value)) return `'${value}'`;
  const escaped = value
    .replaceAll(/[\\"$]/g, '\\$&')
    .replaceAll('`', '\\0140')
    .replaceAll('\r', '\\r');
  return `"${escaped}"`;
}

/** Node takes no backslash away (its `--env-file` not even that of `\r`), Python replaces `${…}` in any quotes and keeps `\$`, and `\0140` and `\r` are Compose's. */
function misreadersOf(value: string): string[] {
  const isDouble = !PLAIN.test(value) && UNFIT_FOR_SINGLE.test(value);
  const isWrong = {
    Node: isDouble && /[\\"$`\r]/.test(value),
    'python-dotenv': value.includes('${') || (isDouble && /[$`]/.test(value)),
    'sh and systemd': isDouble && /[`\r]/.test(value),
  };
  return Object.entries(isWrong).flatMap(([reader, isMisread]) => (isMisread ? [reader] : []));
}
