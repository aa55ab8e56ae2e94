import type { Entry } from './entry.ts';
import { ImportError } from './import-error.ts';
import { describeKey, showableKey } from './text.ts';

/** A section of an INI file, as the AWS tools, rclone and s3cmd write them. */
export interface Section {
  /** Empty for the entries before the first header. */
  readonly name: string;
  readonly line: number;
  /** Each key occurs once, regardless of case. Values have no white space at their ends; they may be empty. */
  readonly entries: readonly Entry[];
}

/**
 * Parses INI. Comments are lines that begin with `#` or `;`. A comment after a value is part of the value, as it is to
 * the tools. Lines that are indented below a key without a value are a nested group (`s3 =` in AWS's config), and are
 * ignored.
 *
 * @throws ImportError
 */
export function parseIni(text: string): Section[] {
  const sections: { name: string; line: number; entries: Entry[] }[] = [];
  const names = new Set<string>();
  let keys = new Set<string>();
  let previous: { readonly indent: number; readonly isEmpty: boolean } | undefined;
  for (const [index, row] of text.split('\n').entries()) {
    const line = index + 1;
    const content = row.trim();
    if (content === '' || content.startsWith('#') || content.startsWith(';')) continue;
    const name = content.startsWith('[') ? parseHeader(content, line) : undefined;
    if (name !== undefined) {
      if (names.has(name)) throw new ImportError(line, `${describeSection(name)} occurs twice`);
      names.add(name);
      sections.push({ name, line, entries: [] });
      [keys, previous] = [new Set(), undefined];
      continue;
    }
    const indent = row.length - row.trimStart().length;
    if (previous !== undefined && indent > previous.indent) {
      if (previous.isEmpty) continue;
      throw new ImportError(line, 'it is indented as if it continued the value of the line before');
    }
    const entry = parseEntry(content, line);
    const folded = entry.key.toLowerCase();
    if (keys.has(folded)) throw new ImportError(line, `${describeKey(entry.key)} occurs twice`);
    keys.add(folded);
    previous = { indent, isEmpty: entry.value === '' };
    if (sections.length === 0) sections.push({ name: '', line, entries: [] });
    sections.at(-1)?.entries.push(entry);
  }
  return sections;
}

/** Returns "the section [X]", or "a section" if its name may be a misplaced secret. */
export function describeSection(name: string): string {
  const words = name.split(' ');
  return words.every((word) => showableKey(word) !== undefined) ? `the section [${name}]` : 'a section';
}

function parseHeader(content: string, line: number): string {
  const name = /^\[([^\][]*)\]\s*(?:[#;].*)?$/.exec(content)?.[1]?.trim();
  if (name === undefined || name === '') throw new ImportError(line, 'it begins with [ but is not a [section]');
  return name;
}

function parseEntry(content: string, line: number): Entry {
  const equals = content.indexOf('=');
  if (equals <= 0) throw new ImportError(line, 'it is neither a [section] nor KEY = VALUE');
  return { key: content.slice(0, equals).trimEnd(), value: content.slice(equals + 1).trimStart(), line };
}
