import { isDeepStrictEqual } from 'node:util';
import type { Expected } from './model.ts';

/** A reply as received. */
interface Reply {
  readonly error?: string;
  readonly parameters: Record<string, unknown>;
}

/** Lists whose order does not matter; they are sorted for the comparison. */
const UNORDERED: ReadonlySet<string> = new Set(['credentials', 'sets', 'members', 'grants', 'missing', 'fields']);

/** Fields that the model cannot know: times, ids, and the results of validations. */
const UNKNOWN: ReadonlySet<string> = new Set(['changed', 'uuid', 'health']);

/** The fields of Status that the model knows; the others describe the process. */
const OF_STATUS = ['credentials', 'generation'] as const;

/** Tells whether a reply is the expected one. */
export function sameAs(method: string, reply: Reply, expected: Expected): boolean {
  const told = telling(method, reply);
  if ('error' in expected && expected.fields === undefined && 'error' in told) return told['error'] === expected.error;
  const { fields, ...rest } = { fields: undefined, ...expected };
  const wanted = fields === undefined ? rest : { ...rest, fields };
  return isDeepStrictEqual(told, canonical(wanted));
}

/** Returns the part of a reply that is compared. */
export function telling(method: string, { error, parameters }: Reply): Record<string, unknown> {
  if (error !== undefined) {
    return canonical({ error: error.replace('io.cio.Credentials.', ''), fields: parameters });
  }
  if (method !== 'Status') return canonical({ reply: parameters });
  return canonical({ reply: Object.fromEntries(OF_STATUS.map((key) => [key, parameters[key]])) });
}

function canonical(value: object): Record<string, unknown> {
  return reduce(value) as Record<string, unknown>;
}

function reduce(value: unknown, key = ''): unknown {
  if (Array.isArray(value)) {
    const items = value.map((item) => reduce(item));
    const inOrder = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
    const isSorted = UNORDERED.has(key) || key === 'removed' || key === 'saved';
    return isSorted ? items.toSorted((a, b) => inOrder(JSON.stringify(a), JSON.stringify(b))) : items;
  }
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value)
    // `created` is a time, except in `saved`, where it tells whether the credential is new.
    .filter(([name, inner]) => !UNKNOWN.has(name) && !(name === 'created' && typeof inner === 'number'))
    .map(([name, inner]) => [name, reduce(inner, name)] as const);
  return Object.fromEntries(entries.toSorted(([a], [b]) => (a < b ? -1 : 1)));
}
