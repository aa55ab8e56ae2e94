import { REPOSITORY_FIELDS } from '../../../src/providers/common-fields.ts';
import type { Field, Provider } from '../../../src/providers/provider.ts';
import { closest } from '../../../src/closest.ts';
import { CommandError } from '../command-error.ts';

/** A value of a set, and what it came from, as a message calls it: `--s3-region`, `AWS_REGION`. */
export interface GivenValue {
  readonly text: string;
  readonly source: string;
}

/** What a source gives: values by the ids of their fields. */
export type GivenValues = ReadonlyMap<string, GivenValue>;

/** A field that a set uses no keys without: its provider's own, other than the repository and its password. */
export function isKeyField({ id, isRequired }: Field): boolean {
  return isRequired && !REPOSITORY_FIELDS.includes(id);
}

/** What is wrong with a value, as text that does not repeat it; undefined where nothing is. */
export function refusalOf(field: Field, text: string): string | undefined {
  if (text === '') return 'it is empty';
  if (/^\s+$/u.test(text)) return 'it is white space alone';
  return field.check?.(text);
}

/**
 * Checks that the provider has all the fields, and takes all the values.
 *
 * @throws CommandError `InvalidInput`, which names the source and not the value
 */
export function checkValues(provider: Provider, values: GivenValues): void {
  for (const [id, { text, source }] of values) {
    const field = provider.fields.find((each) => each.id === id);
    if (field === undefined) throw unknownField(provider, id, source);
    const reason = refusalOf(field, text);
    if (reason !== undefined) throw new CommandError('InvalidInput', `${source} is not valid: ${reason}`);
  }
}

function unknownField(provider: Provider, id: string, source: string): CommandError {
  const known = provider.fields.map((field) => field.id);
  const guess = closest(id, known);
  return new CommandError(
    'InvalidInput',
    `${source} is no field of ${provider.label}${guess === undefined ? '' : `; did you mean ${guess}?`}`,
    `its fields are ${known.join(', ')}`,
  );
}
