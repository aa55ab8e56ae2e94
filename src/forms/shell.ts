/** One word of a POSIX shell, whatever is in it. */
function quoteWord(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** The same, with quotes only where the shell needs them. */
export function quoteIfNeeded(text: string): string {
  return /^[A-Za-z0-9_@%+=:,./-]+$/.test(text) ? text : quoteWord(text);
}

/** Variables as lines that a POSIX shell evaluates. */
export function formatExports(variables: ReadonlyMap<string, string>): string {
  return [...variables].map(([name, value]) => `export ${name}=${quoteWord(value)}\n`).join('');
}
