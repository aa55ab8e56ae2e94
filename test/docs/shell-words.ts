/** One command of a shell line: its words, without quotes. */
export type ShellCommand = readonly string[];

/**
 * Splits a line into the commands that a shell would run: at `|`, `&&`, `||` and `;`, without redirections and
 * comments. It handles only the shell syntax that the documents use.
 */
export function commandsOf(line: string): readonly ShellCommand[] {
  const commands: string[][] = [[]];
  let isRedirected = false;
  for (const [token, operator] of tokensOf(line)) {
    if (operator === 'end') break;
    if (operator === 'next') commands.push([]);
    else if (operator === 'redirect') isRedirected = true;
    else if (isRedirected) isRedirected = false;
    else commands.at(-1)?.push(token);
  }
  return commands.filter((words) => words.length > 0);
}

/** In this order: operators and redirections, a comment, words that may have quoted parts. */
const TOKEN = /(&&|\|\|?|;)|([0-9]?(?:>>?|<)(?:&[0-9])?)|(#.*$)|((?:"(?:[^"\\]|\\.)*"|'[^']*'|\\.|[^\s"'|;&<>\\])+)/g;

function* tokensOf(
  line: string,
): Generator<readonly [text: string, operator: 'next' | 'redirect' | 'end' | undefined]> {
  for (const [text, next, redirect, comment] of line.matchAll(TOKEN)) {
    if (next !== undefined) yield [text, 'next'];
    else if (redirect !== undefined) {
      if (!redirect.includes('&')) yield [text, 'redirect'];
    } else if (comment !== undefined) yield [text, 'end'];
    else yield [unquoted(text), undefined];
  }
}

function unquoted(word: string): string {
  return word.replaceAll(
    /"((?:[^"\\]|\\.)*)"|'([^']*)'|\\(.)/g,
    (_, double?: string, single?: string, one?: string) => double?.replaceAll(/\\(.)/g, '$1') ?? single ?? one ?? '',
  );
}
