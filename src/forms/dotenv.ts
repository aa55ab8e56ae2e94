/**
 * Values that every reader takes literally without quotes. This includes docker(1) `--env-file`, which does not support
 * quotes.
 */
const PLAIN = /^[A-Za-z0-9_@%+=:,./-]+$/;

/**
 * Sequences that at least one reader does not take literally in single quotes: a single quote, a carriage return, two
 * backslashes, a backslash before the closing quote.
 */
const UNSAFE_IN_SINGLE_QUOTES = /['\r]|\\(?:\\|$)/;

/** An environment file, and which of its variables some readers may misread. */
export interface DotenvFile {
  readonly text: string;
  /** The variables with quotes around their values. */
  readonly quoted: readonly string[];
  /** The variables whose values some readers misread, each with those readers. Docker Compose is never among them. */
  readonly misread: ReadonlyMap<string, readonly string[]>;
}

/**
 * Formats variables as a `.env` file that Docker Compose (`github.com/compose-spec/compose-go/dotenv`), the dotenv
 * libraries of Node and Python, `sh` and systemd's `EnvironmentFile=` read alike as far as possible: unquoted if no
 * reader needs quotes, else in single quotes, which expand nothing, else in double quotes. Escapes in double quotes are
 * Compose's. A backtick becomes an octal number, so that a shell that reads the file runs no command.
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
  if (!UNSAFE_IN_SINGLE_QUOTES.test(value)) return `'${value}'`;
  const escaped = value
    .replaceAll(/[\\"$]/g, '\\$&')
    .replaceAll('`', '\\0140')
    .replaceAll('\r', '\\r');
  return `"${escaped}"`;
}

/**
 * Returns the readers that misread a value. Node removes no backslashes (its `--env-file` does not even decode `\r`),
 * Python expands `${…}` in any quotes and keeps the backslash of `\$`, and only Compose decodes `\0140` and `\r`.
 */
function misreadersOf(value: string): string[] {
  const isDouble = !PLAIN.test(value) && UNSAFE_IN_SINGLE_QUOTES.test(value);
  const isWrong = {
    Node: isDouble && /[\\"$`\r]/.test(value),
    'python-dotenv': value.includes('${') || (isDouble && /[$`]/.test(value)),
    'sh and systemd': isDouble && /[`\r]/.test(value),
  };
  return Object.entries(isWrong).flatMap(([reader, isMisread]) => (isMisread ? [reader] : []));
}
