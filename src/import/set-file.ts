import type { Provider } from '../providers/provider.ts';
import { parseServiceAccount } from '../providers/service-account.ts';
import { parseDotenv } from './dotenv.ts';
import type { Entry } from './entry.ts';
import { ImportError } from './import-error.ts';
import { describeSection, parseIni } from './ini.ts';
import { resolveEntries, type ParsedSet } from './resolve.ts';
import { describeKey, prepareText } from './text.ts';
import { parseTree, type MapNode, type Tree } from './tree.ts';

export type { ParsedSet } from './resolve.ts';

export interface SetFileOptions {
  /** The provider of the set; undefined to determine it from the file. */
  readonly provider: Provider | undefined;
  /** The section of an INI file; `default` if undefined. */
  readonly profile: string | undefined;
}

/** The kinds of text that are distinguished by their content. */
export type TextKind = 'json' | 'yaml' | 'ini' | 'dotenv';

/**
 * Reads the single set in a file of any of these kinds: JSON, YAML, INI as in AWS's shared file, variables (dotenv), or
 * the JSON of a Google service account.
 *
 * @throws ImportError with the line, never with a value
 */
export function parseSetFile(text: string, { provider, profile }: SetFileOptions): ParsedSet {
  const prepared = prepareText(text);
  const kind = textKindOf(prepared);
  if (profile !== undefined && kind !== 'ini') {
    throw new ImportError(undefined, 'it has no profiles; only INI files, as ~/.aws/credentials, have them');
  }
  switch (kind) {
    case 'ini':
      return resolveEntries(entriesOfProfile(prepared, profile ?? 'default'), provider);
    case 'dotenv':
      return resolveEntries(parseDotenv(prepared), provider);
    case 'json':
    case 'yaml':
      return readTree(prepared, parseTree(prepared), provider);
  }
}

/**
 * Detects the kind of a prepared text by its first line that is neither blank nor a comment.
 *
 * @throws ImportError if it is of none of the kinds
 */
export function textKindOf(text: string): TextKind {
  const rows = text.split('\n');
  const index = rows.findIndex((row) => row.trim() !== '' && !/^\s*[#;]/.test(row));
  const first = rows[index]?.trim();
  if (first === undefined) throw new ImportError(undefined, 'it has only comments');
  if (first.startsWith('{')) return 'json';
  if (/^\[[^\]"'{}[]+\]\s*(?:[#;].*)?$/.test(first)) return 'ini';
  if (/^(?:export\s|set -)/.test(first) || /^[A-Za-z_][A-Za-z0-9_.-]*[ \t]*=/.test(first)) return 'dotenv';
  if (first.startsWith('---') || first.startsWith('%') || /^["']?[A-Za-z_<][^=:]*:(?:\s|$)/.test(first)) return 'yaml';
  throw new ImportError(index + 1, 'it is neither JSON, YAML, INI nor KEY=VALUE');
}

/** Returns the entries of one profile in an INI file. */
function entriesOfProfile(text: string, profile: string): readonly Entry[] {
  const sections = parseIni(text);
  const found = sections.find(({ name }) => name === profile || name === `profile ${profile}`);
  if (found !== undefined) return found.entries;
  const there = sections.flatMap(({ name }) => (describeSection(name) === 'a section' ? [] : [name]));
  throw new ImportError(
    undefined,
    `it has no section for the profile; there are ${there.slice(0, 20).join(', ') || 'none'}`,
  );
}

function readTree(text: string, tree: Tree, provider: Provider | undefined): ParsedSet {
  if (tree.kind !== 'map') throw new ImportError(tree.line, `it is a ${tree.kind} instead of keys and values`);
  if (textOf(tree, 'type') === 'service_account') return readServiceAccount(text, tree, provider);
  const isObject = tree.entries.some(({ key }) => key === 'kind' || key === 'spec');
  return resolveEntries(isObject ? entriesOfObject(tree) : entriesOfMap(tree), provider);
}

/** Reads the JSON file of a Google service account, which becomes the value of a field as a whole. */
function readServiceAccount(text: string, tree: MapNode, provider: Provider | undefined): ParsedSet {
  const account = parseServiceAccount(text.trim());
  if ('reason' in account) throw new ImportError(tree.line, `as the JSON of a service account, ${account.reason}`);
  const project = tree.entries.find(({ key }) => key === 'project_id');
  const entries: Entry[] = [{ key: 'service_account', value: text.trim(), line: tree.line }];
  if (project?.value.kind === 'text')
    entries.push({ key: 'project_id', value: project.value.text, line: project.line });
  return resolveEntries(entries, provider);
}

/** Returns the entries of a credential object of pharmer, a form in which this program also prints sets. */
function entriesOfObject(tree: MapNode): Entry[] {
  const entries: Entry[] = [];
  for (const { key, line, value } of tree.entries) {
    if (key === 'kind' && !(value.kind === 'text' && value.text === 'Credential')) {
      throw new ImportError(line, 'its kind is not Credential');
    }
    if (key === 'metadata' || key === 'spec') entries.push(...entriesOfPart(key, asMap(key, line, value)));
    else if (!['apiVersion', 'kind', 'status'].includes(key)) throw notOfObject(key, line);
  }
  return entries;
}

function entriesOfPart(part: 'metadata' | 'spec', map: MapNode): Entry[] {
  return map.entries.flatMap(({ key, line, value }): Entry[] => {
    if (part === 'metadata') return key === 'name' ? [entryOf(key, line, value)] : [];
    if (key === 'provider') return [entryOf(key, line, value)];
    if (key === 'data') return entriesOfMap(asMap(key, line, value));
    throw notOfObject(key, line);
  });
}

function notOfObject(key: string, line: number): ImportError {
  return new ImportError(line, `${describeKey(key)} does not belong to a Credential, whose values are in spec.data`);
}

function entriesOfMap(map: MapNode): Entry[] {
  return map.entries.map(({ key, line, value }) => entryOf(key, line, value));
}

function asMap(key: string, line: number, value: Tree): MapNode {
  if (value.kind !== 'map') throw new ImportError(line, `${describeKey(key)} has no keys and values`);
  return value;
}

function entryOf(key: string, line: number, value: Tree): Entry {
  if (value.kind !== 'text') throw new ImportError(line, `the value of ${describeKey(key)} is not text`);
  return { key, line, value: value.isNull ? '' : value.text };
}

function textOf(map: MapNode, key: string): string | undefined {
  const value = map.entries.find((entry) => entry.key === key)?.value;
  return value?.kind === 'text' ? value.text : undefined;
}
