import { isDeepStrictEqual } from 'node:util';
import type { Expected } from './model.ts';

/** A reply as it came. */
interface Reply {
  readonly error?: string;
  readonly parameters: Record<string, unknown>;
}

/** What of a list is compared in any order, and by what it is put into one. */
const UNORDERED: ReadonlySet<string> = new Set(['credentials', 'sets', 'members', 'grants', 'missing', 'fields']);

/** What a model cannot know: times, ids, what a validation found. */
const UNKNOWN: ReadonlySet<string> = new Set(['changed', 'uuid', 'health']);

/** What Status says of the process is not of the model. */
const OF_STATUS = ['credentials', 'generation'] as const;

/** Tells whether an answer is the one that the model has. */
export function sameAs(method: string, reply: Reply, expected: Expected): boolean {
  const told = telling(method, reply);
  if ('error' in expected && expected.fields === undefined && 'error' in told) return told['error'] === expected.error;
  const { fields, ...rest } = { fields: undefined, ...expected };
  const wanted = fields === undefined ? rest : { ...rest, fields };
  return isDeepStrictEqual(told, canonical(wanted));
}

/** The part of an answer that is compared. */
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
    // `created` is a time, but of what was saved it says whether it is new.
    .filter(([name, inner]) => !UNKNOWN.has(name) && !(name === 'created' && typeof inner === 'number'))
    .map(([name, inner]) => [name, reduce(inner, name)] as const);
  return Object.fromEntries(entries.toSorted(([a], [b]) => (a < b ? -1 : 1)));
}
