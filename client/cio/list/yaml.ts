import { stringify } from 'yaml';

/** A document as YAML, with everything that its JSON has. */
export function formatYaml(document: unknown): string {
  // By way of JSON: what is undefined is not there, and nothing is an anchor.
  return stringify(JSON.parse(JSON.stringify(document)), { lineWidth: 0, aliasDuplicateObjects: false });
}
