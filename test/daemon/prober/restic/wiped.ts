import type { TestContext } from 'node:test';

/** What all kinds of arrays of numbers have their methods from. */
const ANY_NUMBERS = Object.getPrototypeOf(Uint8Array.prototype) as Uint8Array;

type FillParameters = Parameters<Uint8Array['fill']>;

/** What is worked with. */
type Numbers = Uint8Array | Float64Array;

const hex = (bytes: Numbers): string => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex');

/** What is overwritten with zeros from now on, where there was something else before. */
export interface Wipes {
  readonly arrays: ReadonlySet<Numbers>;
  /** Whether something was that read so. */
  readonly has: (bytes: Uint8Array) => boolean;
}

export function watchWipes(t: TestContext): Wipes {
  const arrays = new Set<Numbers>();
  const texts = new Set<string>();
  const fill = Reflect.get(ANY_NUMBERS, 'fill');
  const watched = function (this: Uint8Array, ...rest: FillParameters): Uint8Array {
    if (rest[0] === 0 && rest.length === 1 && this.some((value) => value !== 0)) {
      arrays.add(this);
      texts.add(hex(this));
    }
    return fill.apply(this, rest);
  };
  // Node has one of its own for its buffers.
  for (const prototype of [ANY_NUMBERS, Buffer.prototype]) t.mock.method(prototype, 'fill', watched as never);
  return { arrays, has: (bytes) => texts.has(hex(bytes)) };
}
