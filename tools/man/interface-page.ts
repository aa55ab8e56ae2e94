import { EXIT_OF_ERROR, type ErrorCode } from '../../src/errors.ts';
import type { Interface, StructType, Type } from '../../src/protocol/idl.ts';
import { renderItem, renderParagraphs, type Parts } from './prose.ts';
import { bold, escapeText, literal, subsection } from './roff.ts';

/** Maximum width of a definition, which is indented on the page. */
const WIDTH_MAX = 66;

/** The parts of io.cio.Credentials(7). */
export function interfaceParts({ doc, types, methods, errors }: Interface): Parts {
  return {
    about: renderDoc(doc),
    types: [...types]
      .map(([name, { doc, type }]) => subsection(name) + definition(`type ${name} `, type) + renderDoc(doc))
      .join(''),
    methods: [...methods]
      .map(([name, { doc, input, output }]) => subsection(name) + signature(name, input, output) + renderDoc(doc))
      .join(''),
    errors: [...errors].map(([name, { doc, fields }]) => renderError(name as ErrorCode, fields, doc)).join(''),
  };
}

function renderError(name: ErrorCode, fields: StructType, doc: string): string {
  const term = fields.fields.length === 0 ? bold(name) : `${bold(name)} ${escapeText(inOneLine(fields))}`;
  return renderItem(term, `${withNames(doc)}\n\nExit status of cio-credential(1): ${EXIT_OF_ERROR[name]}`.trim());
}

/** Renders the text of a comment. */
function renderDoc(doc: string): string {
  return renderParagraphs(withNames(doc));
}

/** Turns each line that begins with names and a colon into a paragraph of its own, with the names in bold. */
function withNames(doc: string): string {
  return doc.replaceAll(/(?:^|\n)(\w+(?:, \w+)*): /g, '\n\n`$1`: ').trim();
}

function definition(head: string, type: Type): string {
  return literal(layOut(head, type, ''));
}

function signature(name: string, input: StructType, output: StructType): string {
  const flat = `method ${name}${inOneLine(input)} -> ${inOneLine(output)}`;
  if (flat.length <= WIDTH_MAX) return literal([flat]);
  const [head, ...rest] = layOut(`method ${name}`, input, ' ->').toReversed();
  return literal([...rest.toReversed(), ...layOut(`${head ?? ''} `, output, '')]);
}

/** Lays out a definition on one line if that is short enough, and else with a line for each of its parts. */
function layOut(head: string, type: Type, tail: string): string[] {
  const flat = `${head}${inOneLine(type)}`;
  if (flat.length + tail.length <= WIDTH_MAX) return [`${flat}${tail}`];
  if (type.kind !== 'struct' && type.kind !== 'enum') return [`${flat}${tail}`];
  const parts = type.kind === 'struct' ? type.fields.map(fieldOf) : type.values;
  return [`${head}(`, ...parts.map((part, index) => `  ${part}${index < parts.length - 1 ? ',' : ''}`), `)${tail}`];
}

function fieldOf({ name, type }: StructType['fields'][number]): string {
  return `${name}: ${inOneLine(type)}`;
}

function inOneLine(type: Type): string {
  switch (type.kind) {
    case 'simple':
    case 'named':
      return type.name;
    case 'nullable':
      return `?${inOneLine(type.of)}`;
    case 'array':
      return `[]${inOneLine(type.of)}`;
    case 'map':
      return `[string]${inOneLine(type.of)}`;
    case 'enum':
      return `(${type.values.join(', ')})`;
    case 'struct':
      return `(${type.fields.map(fieldOf).join(', ')})`;
  }
}
