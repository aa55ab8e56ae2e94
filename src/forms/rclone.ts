import { environmentOf, remoteVariablePrefix } from '../environment.ts';
import { REPOSITORY_FIELDS } from '../providers/common-fields.ts';
import { requireComplete, notExpressible, type SetContent } from './set-content.ts';

/** The start of a quoted value in rclone's configuration file, which rclone reads with `goconfig`. */
const QUOTATION = /^(?:`|""")/;

/**
 * Formats a set as a section of `rclone.conf` with the name of the set. None of its options has to be obscured: rclone
 * requires that only of users' passwords and those of `crypt`.
 *
 * @throws CredentialError `Incomplete`, `InvalidValue`
 */
export function formatRclone(content: SetContent): string {
  const { set, values } = content;
  const provider = requireComplete(content, REPOSITORY_FIELDS);
  const prefix = remoteVariablePrefix(set);
  const fieldOf = new Map(Object.entries(provider.rclone.fromFields));
  const lines = [...environmentOf(set, provider, values).set].flatMap(([name, value]) => {
    if (!name.startsWith(prefix)) return [];
    const option = name.slice(prefix.length);
    return `${option.toLowerCase()} = ${inOneLine(set, fieldOf.get(option) ?? 'endpoint', value)}\n`;
  });
  return `[${set}]\n${lines.join('')}`;
}

/** Returns a value in one line, quoted if needed. JSON of several lines, such as a service account, is compacted. */
function inOneLine(set: string, field: string, value: string): string {
  const line = value.includes('\n') ? compactJson(value) : value;
  if (line === undefined || /[\0\r\n]/.test(line))
    throw notExpressible(set, field, 'rclone.conf has no form for its line ends');
  if (line.trim() !== line) throw notExpressible(set, field, 'rclone.conf has no form for the space at its ends');
  if (!QUOTATION.test(line)) return line;
  const quote = ['`', '"""'].find((mark) => !line.includes(mark) && !line.endsWith(mark.charAt(0)));
  if (quote === undefined) throw notExpressible(set, field, 'rclone.conf has no form for its quotes');
  return `${quote}${line}${quote}`;
}

function compactJson(text: string): string | undefined {
  try {
    return JSON.stringify(JSON.parse(text));
  } catch {
    return undefined;
  }
}
