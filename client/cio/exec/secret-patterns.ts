/** A shorter secret, in bytes, is not masked: it would match in unrelated words. */
export const SECRET_BYTES_MIN = 4;

/** The same for a part of a secret, or an encoded form of one. */
const PART_BYTES_MIN = 8;

/** Longer patterns are cut into pieces of this size, so that no more output than that is ever held back. */
const PIECE_BYTES = 128;

/** Line length of base64(1). */
const BASE64_LINE_BYTES = 76;

/**
 * Returns the patterns that reveal secrets in the output of a command: verbatim, also without surrounding white space
 * and line by line, in base64 at any alignment, and as URLs, forms, JSON and shells write them.
 */
export function secretPatternsOf(secrets: Iterable<string>): readonly Uint8Array[] {
  const patterns = new Set<string>();
  for (const secret of secrets) {
    for (const each of new Set([secret, secret.trim()])) for (const pattern of formsOf(each)) patterns.add(pattern);
  }
  return [...patterns].map((pattern) => Buffer.from(pattern, 'latin1'));
}

function* formsOf(secret: string): Generator<string> {
  const bytes = Buffer.from(secret);
  if (bytes.length < SECRET_BYTES_MIN) return;
  // Split at line ends, which differ on a terminal, and at escaped ones, as programs may decode a secret that is JSON.
  for (const line of secret.split(/\r?\n|\\r|\\n/)) {
    const part = line.trim();
    if (Buffer.byteLength(part) >= PART_BYTES_MIN) yield* piecesOf(part, PIECE_BYTES);
  }
  const onTerminal = secret.replaceAll(/\r?\n(?!$)/g, '\r\n');
  const forms = [secret, onTerminal, ...formsInUrls(secret), ...formsInJson(secret), ...formsInShells(secret)];
  for (const form of new Set(forms)) yield* piecesOf(form, PIECE_BYTES);
  const whole = bytes.toString('base64');
  for (const base64 of [whole, whole.replace(/=+$/, ''), ...[0, 1, 2].map((offset) => base64Inside(bytes, offset))]) {
    if (base64.length < PART_BYTES_MIN) continue;
    yield* piecesOf(base64, BASE64_LINE_BYTES);
    yield* piecesOf(base64.replaceAll('+', '-').replaceAll('/', '_'), BASE64_LINE_BYTES);
  }
}

/** Encodings as by JavaScript, RFC 3986 and forms, and in user info as by browsers and Go; forms have + for a space. */
function formsInUrls(secret: string): string[] {
  const url = encodeURIComponent(secret);
  const strict = url.replaceAll(/[!'()*]/g, escapeByte);
  return [
    url,
    url.replaceAll(/%2[4-6BC]/g, decodeURIComponent),
    strict,
    strict.replaceAll(/%(?:2[46BC]|3[BD])/g, decodeURIComponent),
    strict.replaceAll('~', '%7E'),
  ]
    .flatMap((form) => [form, form.replaceAll('%20', '+'), form.replaceAll('%2F', '/')])
    .flatMap((form) => [form, form.replaceAll(/%../g, (escape) => escape.toLowerCase())]);
}

/** Encodings in JSON: the usual one, Go's, which is safe for HTML, and Python's, in ASCII. PHP also escapes slashes. */
function formsInJson(secret: string): string[] {
  const json = JSON.stringify(secret).slice(1, -1);
  return [json, json.replaceAll(/[<>&]/g, escapeUnit), json.replaceAll(/[^ -~]/g, escapeUnit)].flatMap((form) => [
    form,
    form.replaceAll('/', '\\/'),
  ]);
}

/** Quotings by `export -p` and `set -x`: two of bash, and that of dash. */
function formsInShells(secret: string): string[] {
  return [
    secret.replaceAll(/["$\\`]/g, String.raw`\$&`),
    secret.replaceAll("'", String.raw`'\''`),
    secret.replaceAll("'", `'"'"'`),
  ];
}

/** Cuts a long text into pieces, as `latin1`. A remainder that would be too short stays with the piece before it. */
function* piecesOf(text: string, length: number): Generator<string> {
  const bytes = Buffer.from(text).toString('latin1');
  let from = 0;
  for (; bytes.length - from > length + PART_BYTES_MIN; from += length) yield bytes.slice(from, from + length);
  yield bytes.slice(from);
}

/**
 * Returns the base64 of a secret that does not depend on its surroundings, if it begins `offset` bytes into a group of
 * 3.
 */
function base64Inside(secret: Uint8Array, offset: number): string {
  const encoded = Buffer.concat([Buffer.alloc(offset), secret])
    .toString('base64')
    .replace(/=+$/, '');
  const fromWhole = Math.ceil((offset * 8) / 6);
  const toWhole = Math.floor(((offset + secret.length) * 8) / 6);
  return encoded.slice(fromWhole, toWhole);
}

function escapeByte(character: string): string {
  return `%${character.charCodeAt(0).toString(16).toUpperCase()}`;
}

function escapeUnit(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}
