import type { Entry } from './entry.ts';
import { ImportError } from './import-error.ts';
import { describeKey, showableKey } from './text.ts';

/** A section of an INI file, as the AWS tools, rclone and s3cmd write them. */
export interface Section {
  /** Empty for what stands before the first header. */
  readonly name: string;
  readonly line: number;
  /** A key is there once, whatever its case. Values have no white space at their ends; they may be empty. */
  readonly entries: readonly Entry[];
}

/**
 * Parses INI. Comments are lines that begin with `#` or `;`: the tools take what follows a value for a part of it.
 * Lines below a key without a value that are indented deeper are a group of their own (`s3 =` in AWS's config), and no
 * part of what is given back.
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
      if (names.has(name)) throw new ImportError(line, `${describeSection(name)} is there twice`);
      names.add(name);
      sections.push({ name, line, entries: [] });
      [keys, previous] = [new Set(), undefined];
      continue;
    }
    const indent = row.length - row.trimStart().length;
    if (previous !== undefined && indent > previous.indent) {
      if (previous.isEmpty) continue;
      throw new ImportError(line, 'it is indented, as if it went on with the value of the line before');
    }
    const entry = parseEntry(content, line);
    const folded = entry.key.toLowerCase();
    if (keys.has(folded)) throw new ImportError(line, `${describeKey(entry.key)} is there twice`);
    keys.add(folded);
    previous = { indent, isEmpty: entry.value === '' };
    if (sections.length === 0) sections.push({ name: '', line, entries: [] });
    sections.at(-1)?.entries.push(entry);
  }
  return sections;
}

/** "the section [X]", or "a section" for one that is not to be repeated. */
export function describeSection(name: string): string {
  const words = name.split(' ');
  return words.every((word) => showableKey(word) !== undefined) ? `the section [${name}]` : 'a section';
}

function parseHeader(content: string, line: number): string {
  const name = /^\[([^\][]*)\]\s*(?:[#;].*)?$/.exec(content)?.[1]?.trim();
  if (name === undefined || name === '') throw new ImportError(line, 'it begins with [ and is no [section]');
  return name;
}

function parseEntry(content: string, line: number): Entry {
  const equals = content.indexOf('=');
  if (equals <= 0) throw new ImportError(line, 'it is neither a [section] nor KEY = VALUE');
  return { key: content.slice(0, equals).trimEnd(), value: content.slice(equals + 1).trimStart(), line };
}
