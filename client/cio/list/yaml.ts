import { formatObject } from '../out/object-yaml.ts';

/** A document as YAML, with everything that its JSON has. */
export function formatYaml(document: unknown): string {
  // By way of JSON: what is undefined is not there, and nothing is an anchor.
  return formatObject(JSON.parse(JSON.stringify(document)) as object);
}
