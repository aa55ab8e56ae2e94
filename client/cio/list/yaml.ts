import { formatObject } from '../out/object-yaml.ts';

/** Formats a document as YAML, with everything that its JSON has. */
export function formatYaml(document: unknown): string {
  // The detour through JSON drops undefined fields, and avoids anchors for objects that occur twice.
  return formatObject(JSON.parse(JSON.stringify(document)) as object);
}
