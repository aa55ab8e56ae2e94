import type { Methods } from '../src/protocol/interface.generated.ts';

interface LaterField {
  /** Where it comes from: an array in the reply of a method. */
  readonly method: keyof Methods;
  readonly array: string;
  /** Of the array's elements. */
  readonly type: string;
  readonly field: string;
  /** What an older daemon means by leaving it out. */
  readonly meaning: unknown;
}

/** Fields that came into an answer after its method, and are not nullable. Whatever else comes into one is nullable. */
const LATER_FIELDS: readonly LaterField[] = [
  { method: 'List', array: 'sets', type: 'Set', field: 'health', meaning: { state: 'unproved' } },
];

/** Completes the reply of an older daemon, in place: what it does not know yet is as it means it. */
export function completeReply(name: keyof Methods, parameters: unknown): void {
  for (const { method, array, field, meaning } of LATER_FIELDS) {
    const elements = method === name && isObject(parameters) ? parameters[array] : undefined;
    if (!Array.isArray(elements)) continue;
    for (const element of elements as unknown[]) if (isObject(element)) element[field] ??= meaning;
  }
}

/** Tells whether an answer of an older daemon may do without a field of a type. */
export function isLaterField(type: string, field: string): boolean {
  return LATER_FIELDS.some((later) => later.type === type && later.field === field);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
