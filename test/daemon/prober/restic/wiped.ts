import type { TestContext } from 'node:test';

/** The common prototype of all typed arrays. */
const ANY_NUMBERS = Object.getPrototypeOf(Uint8Array.prototype) as Uint8Array;

type FillParameters = Parameters<Uint8Array['fill']>;

/** The kinds of working memory. */
type Numbers = Uint8Array | Float64Array;

const hex = (bytes: Numbers): string => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex');

/** What is overwritten with zeros from now on, unless it was all zeros. */
export interface Wipes {
  readonly arrays: ReadonlySet<Numbers>;
  /** Whether bytes with this content were wiped. */
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
  // Buffer has its own method.
  for (const prototype of [ANY_NUMBERS, Buffer.prototype]) t.mock.method(prototype, 'fill', watched as never);
  return { arrays, has: (bytes) => texts.has(hex(bytes)) };
}
