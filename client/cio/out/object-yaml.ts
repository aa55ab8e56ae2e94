import { stringify, type DocumentOptions, type SchemaOptions, type ToStringOptions } from 'yaml';

const OPTIONS: DocumentOptions & SchemaOptions & ToStringOptions = { lineWidth: 0, customTags: ['binary'] };

/** What a terminal is not to be given, see {@link printable}, and YAML leaves as it is. */
const UNPRINTABLE = /(?![\t\n])[\p{Cc}\p{Cf}\p{Co}\p{Zl}\p{Zp}]/gu;

/** A block that begins with a line of white space: who reads it takes the line for an empty one (eemeli/yaml#695). */
const BLANK_BLOCK = /[|>][-+\d]{0,2}\n+[ \t]+$/m;

/**
 * An object as YAML that a terminal can be given. Long lines stay whole, as other readers than ours may want them; bytes that
 * are no text are `!!binary`.
 */
export function formatObject(value: object): string {
  const text = stringify(value, OPTIONS);
  if (text.search(UNPRINTABLE) === -1 && !BLANK_BLOCK.test(text)) return text;
  // Within quotes a character can be spelled out.
  return stringify(value, { ...OPTIONS, defaultStringType: 'QUOTE_DOUBLE' }).replaceAll(
    UNPRINTABLE,
    (character) => `\\U${(character.codePointAt(0) ?? 0).toString(16).padStart(8, '0')}`,
  );
}
