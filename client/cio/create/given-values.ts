import { REPOSITORY_FIELDS } from '../../../src/providers/common-fields.ts';
import type { Field, Provider } from '../../../src/providers/provider.ts';
import { closest } from '../../../src/closest.ts';
import { CommandError } from '../command-error.ts';

/** A value of a set, and the name of its source in messages: `--s3-region`, `AWS_REGION`. */
export interface GivenValue {
  readonly text: string;
  readonly source: string;
}

/** The values from a source, by field id. */
export type GivenValues = ReadonlyMap<string, GivenValue>;

/** Tells whether a field is one of the provider's keys: a required field other than the repository and its password. */
export function isKeyField({ id, isRequired }: Field): boolean {
  return isRequired && !REPOSITORY_FIELDS.includes(id);
}

/** Returns what is wrong with a value, in words that do not repeat it, or undefined if it is valid. */
export function refusalOf(field: Field, text: string): string | undefined {
  if (text === '') return 'it is empty';
  if (/^\s+$/u.test(text)) return 'it is only white space';
  return field.check?.(text);
}

/**
 * Checks that the provider has all the fields, and that all the values are valid.
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
    `${source} is not a field of ${provider.label}${guess === undefined ? '' : `; did you mean ${guess}?`}`,
    `its fields are ${known.join(', ')}`,
  );
}
