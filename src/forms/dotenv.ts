/** Characters that mean themselves to every reader, without quotes: docker(1) `--env-file`, which knows none, included. */
const PLAIN = /^[A-Za-z0-9_@%+=:,./-]+$/;

/** An environment file, and the variables in it that have quotes around them. */
export interface DotenvFile {
  readonly text: string;
  readonly quoted: readonly string[];
}

/**
 * Variables as a `.env` file, as Docker Compose and the dotenv libraries read it: plain where no reader needs quotes;
 * else in single quotes, within which nothing is replaced. Where there is a `'` or a backslash, on which readers differ,
 * in double quotes with the escapes of Compose (`github.com/compose-spec/compose-go/dotenv`). A backtick is then a number
 * to Compose, and to a shell that is given the file no command.
 */
export function formatDotenv(variables: ReadonlyMap<string, string>): DotenvFile {
  const quoted = [...variables].filter(([, value]) => !PLAIN.test(value)).map(([name]) => name);
  return { text: [...variables].map(([name, value]) => `${name}=${quote(value)}\n`).join(''), quoted };
}

function quote(value: string): string {
  if (PLAIN.test(value)) return value;
  if (!/['\\\r]/.test(value)) return `'${value}'`;
  const escaped = value
    .replaceAll(/[\\"$]/g, '\\$&')
    .replaceAll('`', '\\0140')
    .replaceAll('\n', '\\n')
    .replaceAll('\r', '\\r');
  return `"${escaped}"`;
}
