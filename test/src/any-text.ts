import fc from 'fast-check';

const codePoint = fc.oneof(
  fc.integer({ min: 0, max: 0x7f }),
  fc.integer({ min: 0, max: 0xd7ff }),
  fc.integer({ min: 0xe000, max: 0x10ffff }),
);

/** Any Unicode text. Generates the same as fast-check's unit `binary`, which takes a second to set up. */
export const anyText: fc.Arbitrary<string> = fc.string({ unit: codePoint.map((code) => String.fromCodePoint(code)) });
