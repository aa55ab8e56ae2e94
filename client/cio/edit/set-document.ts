import { stringify } from 'yaml';
import { closest } from '../../../src/closest.ts';
import { ImportError } from '../../../src/import/import-error.ts';
import { describeKey, prepareText } from '../../../src/import/text.ts';
import { parseTree } from '../../../src/import/tree.ts';
import type { Field, Provider } from '../../../src/providers/provider.ts';
import { fieldOf } from '../../../src/providers/registry.ts';
import { memberName } from '../../../src/sets.ts';

/** A set that is being edited. */
export interface EditedSet {
  readonly set: string;
  readonly provider: Provider | undefined;
  /** By field id. */
  readonly values: ReadonlyMap<string, string>;
  /** Fields that are not text, and stay as they are. */
  readonly binary: readonly string[];
}

/** Formats a set as YAML: each field with its help; fields that the set does not have are comments. */
export function formatSet(edited: EditedSet, remarks: readonly string[]): string {
  const { set, provider, values, binary } = edited;
  const head = [
    ...remarks.flatMap((remark) => comment(remark)),
    `# Set ${set}${provider === undefined ? '' : ` (${provider.label})`}. Make your changes, save, and exit the editor.`,
    '# To leave everything as it is, change nothing. Lines that begin with # are comments.',
  ];
  const fields = fieldsOf(edited).map((id) => {
    const field = fieldOf(id, provider);
    const value = values.get(id);
    const line = value === undefined ? `#${id}:` : formatValue(id, value);
    return [
      ...describe(id, field),
      ...(binary.includes(id) ? [`# ${id} is not text, and stays as it is.`] : [line]),
    ].join('\n');
  });
  return `${[head.join('\n'), ...fields].join('\n\n')}\n`;
}

/**
 * Reads an edited document, and returns the values that it changes or adds.
 *
 * @throws ImportError if it is not such a document, or the line of a stored field is missing
 */
export function readSetChanges(text: string, edited: EditedSet): Map<string, string> {
  const { set, provider, values } = edited;
  const isEmpty = text.split('\n').every((row) => /^\s*(?:#|$)/.test(row));
  const tree = isEmpty ? undefined : parseTree(prepareText(text));
  if (tree !== undefined && tree.kind !== 'map') throw new ImportError(tree.line, 'it is not FIELD: VALUE');
  const changes = new Map<string, string>();
  const seen = new Set<string>();
  const known = fieldsOf(edited).filter((id) => !edited.binary.includes(id));
  for (const { key, line, value } of tree?.entries ?? []) {
    if (!known.includes(key)) {
      const near = closest(key, known);
      throw new ImportError(
        line,
        `${describeKey(key)} is not a field of the set${near === undefined ? '' : `; did you mean ${near}?`}`,
      );
    }
    if (value.kind !== 'text') throw new ImportError(line, `the value of ${key} is not text`);
    seen.add(key);
    if (!value.isNull && value.text === values.get(key)) continue;
    if (value.isNull || value.text.trim() === '')
      throw new ImportError(line, `${key} has no value; ${howToRemove(set, key)}`);
    const wrong = fieldOf(key, provider)?.check?.(value.text);
    if (wrong !== undefined) throw new ImportError(line, `the value of ${key} is not valid: ${wrong}`);
    changes.set(key, value.text);
  }
  for (const id of values.keys()) {
    // A removal would take a second call, and if that failed, half of the edit would be stored.
    if (!seen.has(id)) throw new ImportError(undefined, `the line of ${id} is missing; ${howToRemove(set, id)}`);
  }
  return changes;
}

function howToRemove(set: string, id: string): string {
  return `restore it here, and remove it with: cio credential remove ${memberName(set, id)}`;
}

function fieldsOf({ provider, values, binary }: EditedSet): string[] {
  return [...new Set([...(provider?.fields.map(({ id }) => id) ?? ['provider']), ...values.keys(), ...binary])];
}

function describe(id: string, field: Field | undefined): string[] {
  if (field === undefined) return comment(id);
  const { label, isSecret, isRequired, example } = field;
  const marks = [isRequired ? 'required' : 'optional', ...(isSecret ? ['secret'] : [])].join(', ');
  return comment(`${label} (${marks})${example === undefined ? '' : `, as in ${example}`}`);
}

function comment(text: string): string[] {
  return text.split('\n').map((row) => `# ${row}`.trimEnd());
}

/** Formats a value: several lines as a YAML block, and text that an editor or YAML would change as a JSON string. */
function formatValue(id: string, value: string): string {
  if (/[^\P{C}\n]|[\u2028\u2029]|^\s|[ \t]$/mu.test(value)) return `${id}: ${JSON.stringify(value)}`;
  // The block's own indicator says whether the value ends in a line end, so the last one of the output is cut off.
  return stringify({ [id]: value }, { lineWidth: 0, blockQuote: 'literal' }).slice(0, -1);
}
