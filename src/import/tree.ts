import { isAlias, isMap, isScalar, isSeq, Lexer, LineCounter, parseDocument, type ErrorCode, type Node } from 'yaml';
import { ImportError } from './import-error.ts';
import { describeKey } from './text.ts';

/** A parsed YAML or JSON text. Scalars are kept as text; each part has its line. */
export type Tree = TextNode | MapNode | ListNode;

export interface TextNode {
  readonly kind: 'text';
  readonly line: number;
  readonly text: string;
  /** Whether the text is a null of JSON or YAML. */
  readonly isNull: boolean;
}

export interface MapNode {
  readonly kind: 'map';
  readonly line: number;
  readonly entries: readonly MapEntry[];
}

export interface ListNode {
  readonly kind: 'list';
  readonly line: number;
  readonly items: readonly Tree[];
}

export interface MapEntry {
  readonly key: string;
  readonly line: number;
  readonly value: Tree;
}

/** Deepest nesting of maps and lists. clouds.yaml, the most deeply nested of the formats, has five levels. */
const DEPTH_MAX = 16;

/**
 * Most tokens of YAML's lexer, enough for some hundred sets. The parser takes up to 20 µs for each, and much more in
 * invalid text, so that without this limit a file of 1 MiB takes 20 s.
 */
const TOKENS_MAX = 50_000;

/** Most invalid escapes. The parser reports each as an error with a copy of the text around it, in quadratic time. */
const WRONG_ESCAPES_MAX = 1000;
const WRONG_ESCAPE = /\\(?!["\\/abefnrtvN_LP0 \t\n]|x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8})/gi;

/** Messages for the yaml library's error codes. Its own messages quote the text, and are not used. */
const REASONS: { readonly [Code in ErrorCode]?: string } = {
  BAD_DQ_ESCAPE: 'it has an unknown escape sequence in a quoted text',
  BAD_INDENT: 'its indentation does not fit the lines before it',
  BLOCK_AS_IMPLICIT_KEY: 'it has a second colon; a value that contains a colon needs quotes',
  MISSING_CHAR: 'a quote, bracket, comma or line end is missing',
  MULTIPLE_DOCS: 'a second document begins; only one is supported',
  TAB_AS_INDENT: 'it is indented by a tab; YAML allows only spaces',
  MULTILINE_IMPLICIT_KEY: 'a colon is missing',
  RESOURCE_EXHAUSTION: 'it is nested too deeply',
};

/**
 * Parses YAML or JSON; JSON may have superfluous commas. Aliases, anchors, merge keys and tags are refused, since they
 * derive values from others. Keys never become properties of an object, so that no key has a special meaning.
 *
 * @throws ImportError
 */
export function parseTree(text: string): Tree {
  assertBounded(text);
  const lineCounter = new LineCounter();
  const { contents, errors } = parseDocument(text, {
    lineCounter,
    // Keep scalars as text: a value of digits does not become a number, nor `no` a boolean.
    schema: 'failsafe',
    prettyErrors: false,
    // `silent` would also suppress the error about a second document.
    logLevel: 'error',
    merge: false,
    // The library's search for duplicate keys takes quadratic time, and its message quotes the key.
    uniqueKeys: false,
  });
  const lineOf = (position: number): number => Math.max(1, lineCounter.linePos(position).line);
  const error = errors[0];
  if (error !== undefined) {
    throw new ImportError(lineOf(error.pos[0]), REASONS[error.code] ?? 'it is neither valid YAML nor JSON');
  }
  if (contents === null) throw new ImportError(undefined, 'it is empty');
  return toTree(contents, lineOf, 1, DEPTH_MAX);
}

function assertBounded(text: string): void {
  let tokens = 0;
  let line = 1;
  for (const token of new Lexer().lex(text)) {
    tokens += 1;
    if (tokens > TOKENS_MAX) throw new ImportError(line, 'it has more parts than a file with credentials can have');
    if (token.includes('\n')) line += token.split('\n').length - 1;
  }
  if ((text.match(WRONG_ESCAPE)?.length ?? 0) > WRONG_ESCAPES_MAX) {
    throw new ImportError(undefined, 'it has more backslashes than a file with credentials can have');
  }
}

function toTree(node: unknown, lineOf: (position: number) => number, above: number, depth: number): Tree {
  const line = lineOfNode(node, lineOf) ?? above;
  if (depth === 0) throw new ImportError(line, 'it is nested too deeply');
  if (node === null) return { kind: 'text', line, text: '', isNull: true };
  assertPlain(node, line);
  if (isScalar(node)) {
    const text = String(node.value);
    const isNull = node.type === 'PLAIN' && /^(?:null|~|)$/i.test(text);
    return { kind: 'text', line, text, isNull };
  }
  if (isSeq(node)) {
    return { kind: 'list', line, items: node.items.map((item) => toTree(item, lineOf, line, depth - 1)) };
  }
  if (!isMap(node)) throw new ImportError(line, 'it is neither valid YAML nor JSON');
  const seen = new Set<string>();
  const entries = node.items.map((pair): MapEntry => {
    const at = lineOfNode(pair.key, lineOf) ?? line;
    assertPlain(pair.key, at);
    if (!isScalar(pair.key)) throw new ImportError(at, 'a key is not text');
    const key = String(pair.key.value);
    if (key === '<<') throw new ImportError(at, 'merge keys (<<) are not supported; write the keys out');
    if (seen.has(key)) throw new ImportError(at, `${describeKey(key)} occurs twice`);
    seen.add(key);
    return { key, line: at, value: toTree(pair.value, lineOf, at, depth - 1) };
  });
  return { kind: 'map', line, entries };
}

function assertPlain(node: unknown, line: number): void {
  if (isAlias(node)) throw new ImportError(line, 'aliases (*) are not supported; write the value out');
  const { anchor, tag } = node as { readonly anchor?: string; readonly tag?: string };
  if (anchor !== undefined) throw new ImportError(line, 'anchors (&) are not supported');
  if (tag !== undefined)
    throw new ImportError(line, 'tags (!) are not supported; a text that begins with ! needs quotes');
}

function lineOfNode(node: unknown, lineOf: (position: number) => number): number | undefined {
  const range = (node as Partial<Node> | null)?.range;
  return range === null || range === undefined ? undefined : lineOf(range[0]);
}
