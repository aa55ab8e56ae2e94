/** The first line of every age file (https://age-encryption.org/v1). */
const BINARY_START = Buffer.from('age-encryption.org/v1\n');
const ARMOR_START = Buffer.from('-----BEGIN AGE ENCRYPTED FILE-----');

/** White space that may precede an armored file. */
const WHITE_SPACE = /^[ \t\r\n]{0,1024}/;

/** Tells whether bytes begin like an age file, armored or not. */
export function isAgeFile(bytes: Uint8Array): boolean {
  return startsWith(bytes, BINARY_START) || isArmored(bytes);
}

/** Tells whether an age file is armored: text in a format like PEM. */
export function isArmored(bytes: Uint8Array): boolean {
  const start = Buffer.from(bytes.subarray(0, 2048)).toString('latin1');
  return startsWith(bytes.subarray(WHITE_SPACE.exec(start)?.[0].length ?? 0), ARMOR_START);
}

function startsWith(bytes: Uint8Array, start: Uint8Array): boolean {
  return bytes.length >= start.length && Buffer.compare(bytes.subarray(0, start.length), start) === 0;
}
