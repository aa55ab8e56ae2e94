import type { Methods } from '../src/protocol/interface.generated.ts';

interface AddedField {
  /** The method whose reply has the array with the field. */
  readonly method: keyof Methods;
  readonly array: string;
  /** Type of the array's elements. */
  readonly type: string;
  readonly field: string;
  /** The value that the field's absence stands for in the reply of an older daemon. */
  readonly meaning: unknown;
}

/** Reply fields that are not nullable although they are newer than their method. Any other newer field is nullable. */
const ADDED_FIELDS: readonly AddedField[] = [
  { method: 'List', array: 'sets', type: 'Set', field: 'health', meaning: { state: 'unproved' } },
];

/** Completes an older daemon's reply in place: sets each missing field to the value that its absence stands for. */
export function completeReply(name: keyof Methods, parameters: unknown): void {
  for (const { method, array, field, meaning } of ADDED_FIELDS) {
    const elements = method === name && isObject(parameters) ? parameters[array] : undefined;
    if (!Array.isArray(elements)) continue;
    for (const element of elements as unknown[]) if (isObject(element)) element[field] ??= meaning;
  }
}

/** Tells whether the reply of an older daemon may lack a field of a type, although the field is not nullable. */
export function isAddedField(type: string, field: string): boolean {
  return ADDED_FIELDS.some((added) => added.type === type && added.field === field);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
