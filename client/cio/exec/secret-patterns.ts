import { fieldOf } from '../../../src/providers/registry.ts';
import type { SetContent } from '../../../src/forms/set-content.ts';

/** A shorter secret is not masked: it would be found in words that have nothing to do with it. */
const SECRET_BYTES_MIN = 4;

/** The same for what is only a part of a secret, or another form of one. */
const PART_BYTES_MIN = 8;

/** Longer patterns are cut into pieces, so that no more than that has to wait for its end. */
const PIECE_BYTES = 128;

/** Where base64(1) begins a new line. */
const BASE64_LINE_BYTES = 76;

/**
 * What to look for in the output of a command to find the secrets of a set: as they are, line by line, in base64 wherever
 * they begin in it, and as URLs, forms and JSON write them.
 */
export function secretPatternsOf({ provider, values }: SetContent): readonly Uint8Array[] {
  const secrets = [...values]
    .filter(([field]) => fieldOf(field, provider)?.isSecret !== false)
    .map(([, value]) => value);
  const patterns = new Set(secrets.flatMap((secret) => [...formsOf(secret)]));
  return [...patterns].map((pattern) => Buffer.from(pattern));
}

function* formsOf(secret: string): Generator<string> {
  const bytes = Buffer.from(secret);
  if (bytes.length < SECRET_BYTES_MIN) return;
  yield* piecesOf(secret, PIECE_BYTES);
  // A terminal gets another line end than a file, and programs unpack what JSON has packed.
  for (const line of secret.split(/\r?\n|\\r|\\n/)) {
    const part = line.trim();
    if (part !== secret && Buffer.byteLength(part) >= PART_BYTES_MIN) yield* piecesOf(part, PIECE_BYTES);
  }
  const url = encodeURIComponent(secret);
  const lower = url.replaceAll(/%../g, (escape) => escape.toLowerCase());
  const form = url.replaceAll('%20', '+').replaceAll(/[!'()*~]/g, escapeByte);
  const json = JSON.stringify(secret).slice(1, -1);
  for (const other of [url, lower, form, json, json.replaceAll('/', '\\/')])
    if (other !== secret) yield* piecesOf(other, PIECE_BYTES);
  for (const base64 of [bytes.toString('base64'), ...[0, 1, 2].map((offset) => base64Inside(bytes, offset))]) {
    if (base64.length < PART_BYTES_MIN) continue;
    yield* piecesOf(base64, BASE64_LINE_BYTES);
    yield* piecesOf(base64.replaceAll('+', '-').replaceAll('/', '_'), BASE64_LINE_BYTES);
  }
}

/** The pieces of a long text; a rest that would be too short belongs to the one before it. */
function* piecesOf(text: string, length: number): Generator<string> {
  let from = 0;
  for (; text.length - from > length + PART_BYTES_MIN; from += length) yield text.slice(from, from + length);
  yield text.slice(from);
}

/** What base64 makes of a secret whatever stands around it, where it begins `offset` bytes into a group of three. */
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
