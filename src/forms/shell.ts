/** Quotes any text as one word for a POSIX shell. */
function quoteWord(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** Returns a text as one word for a POSIX shell, in quotes only if needed. */
export function quoteIfNeeded(text: string): string {
  return /^[A-Za-z0-9_@%+=:,./-]+$/.test(text) ? text : quoteWord(text);
}

/** Formats variables as `export` lines for a POSIX shell. */
export function formatExports(variables: ReadonlyMap<string, string>): string {
  return [...variables].map(([name, value]) => `export ${name}=${quoteWord(value)}\n`).join('');
}
