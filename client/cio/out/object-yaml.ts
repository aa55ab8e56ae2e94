import { stringify, type DocumentOptions, type SchemaOptions, type ToStringOptions } from 'yaml';

const OPTIONS: DocumentOptions & SchemaOptions & ToStringOptions = { lineWidth: 0, customTags: ['binary'] };

/** Characters that must not reach a terminal, see {@link printable}, and that YAML does not escape. */
const UNPRINTABLE = /(?![\t\n])[\p{Cc}\p{Cf}\p{Co}\p{Zl}\p{Zp}]/gu;

/** A block scalar that begins with a line of white space: parsers take that line for an empty one (eemeli/yaml#695). */
const BLANK_BLOCK = /[|>][-+\d]{0,2}\n+[ \t]+$/m;

/**
 * Formats an object as YAML that is safe to print on a terminal. Long lines are not folded, for the sake of other
 * parsers; bytes that are not text become `!!binary`.
 */
export function formatObject(value: object): string {
  const text = stringify(value, OPTIONS);
  if (text.search(UNPRINTABLE) === -1 && !BLANK_BLOCK.test(text)) return text;
  // Only within double quotes can a character be escaped.
  return stringify(value, { ...OPTIONS, defaultStringType: 'QUOTE_DOUBLE' }).replaceAll(
    UNPRINTABLE,
    (character) => `\\U${(character.codePointAt(0) ?? 0).toString(16).padStart(8, '0')}`,
  );
}
