import { isTemplate } from '../../../src/units.ts';

/**
 * Expands the specifiers whose values follow from a unit's name, and `%t` (systemd.unit(5)).
 *
 * @returns undefined if the text has any other specifier, or one of the instance's name while the unit is a template
 */
export function expandSpecifiers(text: string, unit: string, runtime: string): string | undefined {
  let isKnown = true;
  const expanded = text.replaceAll(/%(.?)/gs, (_, letter: string) => {
    const value = valueOf(letter, unit, runtime);
    isKnown &&= value !== undefined;
    return value ?? '';
  });
  return isKnown ? expanded : undefined;
}

function valueOf(letter: string, unit: string, runtime: string): string | undefined {
  const stem = unit.replace(/\.[a-z]+$/, '');
  const at = stem.indexOf('@');
  const prefix = at === -1 ? stem : stem.slice(0, at);
  const isOpen = isTemplate(unit);
  const instance = at === -1 ? '' : isOpen ? undefined : stem.slice(at + 1);
  switch (letter) {
    case '%':
      return '%';
    case 'n':
      return isOpen ? undefined : unit;
    case 'N':
      return isOpen ? undefined : stem;
    case 'p':
      return prefix;
    case 'P':
      return unescapeUnitName(prefix);
    case 'i':
      return instance;
    case 'I':
      return instance === undefined ? undefined : unescapeUnitName(instance);
    case 'j':
      return prefix.slice(prefix.lastIndexOf('-') + 1);
    case 't':
      return runtime;
    default:
      return undefined;
  }
}

/** Unescapes like unit_name_unescape() in systemd: `-` is a slash, `\x2d` a byte. */
function unescapeUnitName(text: string): string | undefined {
  const bytes: number[] = [];
  const rest = text.replaceAll(/\\x([0-9a-f]{2})|-|[^\\-]/g, (part, hex: string | undefined) => {
    if (hex !== undefined) bytes.push(Number.parseInt(hex, 16));
    else bytes.push(...Buffer.from(part === '-' ? '/' : part));
    return '';
  });
  return rest === '' ? Buffer.from(bytes).toString() : undefined;
}
