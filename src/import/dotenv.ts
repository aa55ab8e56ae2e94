import type { Entry } from './entry.ts';
import { ImportError } from './import-error.ts';
import { describeKey, lineAt } from './text.ts';

/** The other patterns match after these blanks: two adjacent patterns for blanks would take quadratic time. */
const BLANKS = /[ \t]*/y;
const ASSIGNMENT = /(export[ \t]+)?([A-Za-z_][A-Za-z0-9_.-]*)[ \t]*=[ \t]*/y;
/** A comment that starts with a semicolon, as in systemd. */
const COMMENT = /;[^\n]*(?:\n|$)/y;
/** Shell commands other than assignments that do not affect the assignments. */
const OTHER_COMMAND = /(?:set [-+][a-z]+|export(?:[ \t]+[A-Za-z_][A-Za-z0-9_]*)+)(?=[ \t;\n]|$)/y;
/** Expansion of parameters, commands and sums: `$HOME`, `$1`, `$?`, `$(pass)`, `$[1+1]`. Any other `$` is literal. */
const EXPANSION = /`|\$[\w{([?@*#!$-]/;
/** Characters with a meaning to a shell: quotes, separators, redirections, the home directory in `~/x` and `x:~/y`. */
const SHELL = /["'\\;&|<>()]|(?:^|:)~(?:[/:]|$)/;
const BLANK = /[ \t]/;
/** To a shell, `A=x B=y` sets two variables, and `A=two words` is an error. To systemd, the latter is a valid value. */
const SECOND_ASSIGNMENT = /[ \t][A-Za-z_]\w*=/;
const SEMICOLON = /;/y;
const LINE_END = /(?:#[^\n]*)?(?:\n|$)/y;

/**
 * Parses a file of variables: `KEY=VALUE`, `export KEY='VALUE'`, comments, quoted values of several lines. Shells,
 * systemd's EnvironmentFile= and the dotenv libraries read such files in different ways. A value that all of them read
 * alike is accepted. One that a shell would expand or interpret is refused; in single quotes it is accepted.
 *
 * @throws ImportError
 */
export function parseDotenv(text: string): Entry[] {
  const entries: Entry[] = [];
  const seen = new Set<string>();
  let position = 0;
  let line = 1;
  const advance = (to: number): void => {
    for (let at = text.indexOf('\n', position); at !== -1 && at < to; at = text.indexOf('\n', at + 1)) line += 1;
    position = to;
  };
  while (position < text.length) {
    const start = skip(BLANKS, text, position);
    const otherEnd = matchAt(COMMENT, text, start)?.end ?? endOfLine(text, skip(OTHER_COMMAND, text, start));
    if (otherEnd !== undefined) {
      advance(otherEnd);
      continue;
    }
    const assignment = matchAt(ASSIGNMENT, text, start);
    const [command, key] = assignment?.groups ?? [];
    if (assignment === undefined || key === undefined)
      throw new ImportError(line, 'it is neither KEY=VALUE nor a comment');
    if (seen.has(key)) throw new ImportError(line, `${describeKey(key)} occurs twice`);
    seen.add(key);
    const { value, end } = readValue(text, assignment.end, key, command !== undefined);
    entries.push({ key, value, line });
    advance(end);
  }
  return entries;
}

interface ReadValue {
  readonly value: string;
  readonly end: number;
}

function readValue(text: string, start: number, key: string, isExport: boolean): ReadValue {
  const first = text[start];
  const isQuoted = first === "'" || first === '"';
  const { value, end } = isQuoted ? readQuoted(text, start, key) : readBare(text, start, key, isExport);
  const lineEnd = endOfLine(text, end);
  if (lineEnd === undefined) {
    throw new ImportError(lineAt(text, end), `something follows the closing quote of the value of ${describeKey(key)}`);
  }
  return { value, end: lineEnd };
}

/** Returns the start of the next line if the rest of this one is at most a semicolon and a comment; else undefined. */
function endOfLine(text: string, position: number): number | undefined {
  const semicolon = skip(SEMICOLON, text, skip(BLANKS, text, position));
  return matchAt(LINE_END, text, skip(BLANKS, text, semicolon))?.end;
}

/** Reads an unquoted value, up to the end of the line or to a comment after a blank. */
function readBare(text: string, start: number, key: string, isExport: boolean): ReadValue {
  const lineEnd = text.indexOf('\n', start);
  const row = text.slice(start, lineEnd === -1 ? undefined : lineEnd);
  const comment = /^#|[ \t]#/.exec(row);
  let length = comment?.index ?? row.length;
  while (length > 0 && /[ \t]/.test(row.charAt(length - 1))) length -= 1;
  const bare = row.slice(0, length);
  if (SHELL.test(bare) || EXPANSION.test(bare) || (isExport ? BLANK : SECOND_ASSIGNMENT).test(bare)) {
    throw new ImportError(
      lineAt(text, start),
      `the value of ${describeKey(key)} has characters that a shell would interpret; put it in single quotes`,
    );
  }
  return { value: bare, end: start + bare.length };
}

/** Reads a value of adjacent quoted and escaped parts, as in `'it'\''s'`. */
function readQuoted(text: string, start: number, key: string): ReadValue {
  const parts: string[] = [];
  let at = start;
  for (;;) {
    const quote = text[at];
    if (quote === '\\' && at + 1 < text.length && text[at + 1] !== '\n') {
      parts.push(text.charAt(at + 1));
      at += 2;
    } else if (quote === "'") {
      const end = text.indexOf("'", at + 1);
      if (end === -1) throw unclosed(text, at, key);
      parts.push(text.slice(at + 1, end));
      at = end + 1;
    } else if (quote === '"') {
      const { part, end } = readDoubleQuoted(text, at, key);
      parts.push(part);
      at = end;
    } else {
      return { value: parts.join(''), end: at };
    }
  }
}

/**
 * Reads a part in double quotes by the rules of sh and systemd: a backslash is removed before `"`, `\`, `$` and
 * `` ` ``, and together with a line end that follows it. Elsewhere it is literal.
 */
function readDoubleQuoted(text: string, start: number, key: string): { readonly part: string; readonly end: number } {
  let end = start + 1;
  while (end < text.length && text[end] !== '"') end += text[end] === '\\' ? 2 : 1;
  if (end >= text.length) throw unclosed(text, start, key);
  const raw = text.slice(start + 1, end);
  // Join continued lines before looking for expansions, as a shell does.
  if (EXPANSION.test(raw.replaceAll(/\\(?:\n|.)/g, (escape) => (escape.endsWith('\n') ? '' : ' ')))) {
    throw new ImportError(
      lineAt(text, start),
      `the value of ${describeKey(key)} has a $ or \` that a shell would expand; put it in single quotes`,
    );
  }
  return { part: raw.replaceAll(/\\(?:(["\\$`])|\n)/g, '$1'), end: end + 1 };
}

function unclosed(text: string, at: number, key: string): ImportError {
  return new ImportError(lineAt(text, at), `the quote of the value of ${describeKey(key)} is not closed`);
}

/** Returns the position after a match of the pattern, or the given position if it does not match there. */
function skip(pattern: RegExp, text: string, position: number): number {
  return matchAt(pattern, text, position)?.end ?? position;
}

function matchAt(
  pattern: RegExp,
  text: string,
  position: number,
): { readonly end: number; readonly groups: readonly (string | undefined)[] } | undefined {
  pattern.lastIndex = position;
  const match = pattern.exec(text);
  return match === null ? undefined : { end: pattern.lastIndex, groups: match.slice(1) };
}
