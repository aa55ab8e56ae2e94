import { stringify } from 'yaml';

/** An object as YAML. Long lines stay whole, as other readers than ours may want them; bytes that are no text are `!!binary`. */
export function formatObject(value: object): string {
  return stringify(value, { lineWidth: 0, customTags: ['binary'] });
}
