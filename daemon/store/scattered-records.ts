import { PAGE_BYTES } from './page-file.ts';
import type { PageFile } from './page-file.ts';
import { KIND } from './sealed-store.ts';
import type { Kind, SealedRecord } from './sealed-store.ts';

/**
 * The page types that hold records, with the lengths of the page header and of the part of a cell before its payload.
 */
const LEAF = { type: 0x0a, headerBytes: 8, cellHeaderBytes: 0 } as const;
const INTERIOR = { type: 0x02, headerBytes: 12, cellHeaderBytes: 4 } as const;
const CELL_COUNT_OFFSET = 3;

/**
 * Bounds for the part of a payload on the b-tree page itself (https://sqlite.org/fileformat2.html#b_tree_pages,
 * "index").
 */
const LOCAL_BYTES_MAX: number = Math.floor(((PAGE_BYTES - 12) * 64) / 255) - 23;
const LOCAL_BYTES_MIN: number = Math.floor(((PAGE_BYTES - 12) * 32) / 255) - 23;
/** An overflow page begins with the number of the next one. */
const NEXT_BYTES = 4;
const OVERFLOW_BYTES: number = PAGE_BYTES - NEXT_BYTES;

/** Far more than the payload of any record: the largest value, padded and sealed, has a little more than 1 MiB. */
const PAYLOAD_BYTES_MAX: number = 4 * 1024 * 1024;
/** Enough for any length below {@link PAYLOAD_BYTES_MAX}. */
const VARINT_BYTES_MAX = 4;

/** Serial types of a row's columns (https://sqlite.org/fileformat2.html#record_format). */
const SERIAL = { int8: 1, zero: 8, one: 9, emptyBlob: 12 } as const;
const COLUMNS = 3;

/** The part of {@link PageFile} that is needed here. */
type Pages = Pick<PageFile, 'pageCount' | 'read'>;

const KINDS: ReadonlySet<number> = new Set(Object.values(KIND));

/**
 * Yields every record that can be recognised on any page of a file, whether or not the b-tree still refers to that
 * page. A body may fail to decrypt. The file's only table is WITHOUT ROWID, so its pages are those of an index b-tree,
 * whose interior pages hold rows too. Free pages were overwritten (`secure_delete`).
 */
export function* scatteredRecords(file: Pages): Generator<SealedRecord> {
  for (let number = 1; number <= file.pageCount; number += 1) {
    const page = file.read(number);
    const layout = [LEAF, INTERIOR].find(({ type }) => type === page?.[0]);
    if (page === undefined || layout === undefined) continue;
    const cells = page.readUInt16BE(CELL_COUNT_OFFSET);
    const pointersEnd = layout.headerBytes + 2 * cells;
    if (pointersEnd > PAGE_BYTES) continue;
    const seen = new Set<number>();
    for (let pointer = layout.headerBytes; pointer < pointersEnd; pointer += 2) {
      const cell = page.readUInt16BE(pointer);
      if (seen.has(cell)) continue;
      seen.add(cell);
      const payload = cell < pointersEnd ? undefined : readPayload(file, page, cell + layout.cellHeaderBytes);
      const record = payload && decodeRow(payload);
      if (record !== undefined) yield record;
    }
  }
}

/** Reads the payload of a cell, including its overflow pages; undefined if the lengths or pages are inconsistent. */
function readPayload(file: Pages, page: Buffer, offset: number): Buffer | undefined {
  const length = readVarint(page, offset);
  if (length === undefined || length.value > PAYLOAD_BYTES_MAX) return undefined;
  const local = localBytes(length.value);
  const localEnd = length.end + local;
  const isWhole = local === length.value;
  if (localEnd + (isWhole ? 0 : NEXT_BYTES) > PAGE_BYTES) return undefined;
  const parts = [page.subarray(length.end, localEnd)];
  if (isWhole) return parts[0];
  let next = page.readUInt32BE(localEnd);
  const chain = new Set<number>();
  for (let left = length.value - local; left > 0; left -= OVERFLOW_BYTES) {
    const overflow = file.read(next);
    if (overflow === undefined || chain.has(next)) return undefined;
    chain.add(next);
    parts.push(overflow.subarray(NEXT_BYTES, NEXT_BYTES + Math.min(left, OVERFLOW_BYTES)));
    next = overflow.readUInt32BE(0);
  }
  return Buffer.concat(parts);
}

function localBytes(payloadBytes: number): number {
  if (payloadBytes <= LOCAL_BYTES_MAX) return payloadBytes;
  const filling = LOCAL_BYTES_MIN + ((payloadBytes - LOCAL_BYTES_MIN) % OVERFLOW_BYTES);
  return filling <= LOCAL_BYTES_MAX ? filling : LOCAL_BYTES_MIN;
}

/** Decodes a row with kind, tag and body; undefined if the payload is not such a row. */
function decodeRow(payload: Buffer): SealedRecord | undefined {
  const headerLength = readVarint(payload, 0);
  if (headerLength === undefined) return undefined;
  const serials: number[] = [];
  let at = headerLength.end;
  while (serials.length < COLUMNS && at < headerLength.value) {
    const serial = readVarint(payload, at);
    if (serial === undefined) return undefined;
    serials.push(serial.value);
    at = serial.end;
  }
  const [kindSerial, tagSerial, bodySerial] = serials;
  const tagBytes = blobBytes(tagSerial);
  const bodyBytes = blobBytes(bodySerial);
  if (at !== headerLength.value || tagBytes === undefined || bodyBytes === undefined) return undefined;
  const tagStart = at + (kindSerial === SERIAL.int8 ? 1 : 0);
  const bodyStart = tagStart + tagBytes;
  if (bodyStart + bodyBytes !== payload.length) return undefined;
  const kind = kindOf(kindSerial, payload[at]);
  return kind === undefined
    ? undefined
    : { kind, tag: payload.subarray(tagStart, bodyStart), body: payload.subarray(bodyStart) };
}

function kindOf(serial: number | undefined, byte: number | undefined): Kind | undefined {
  const kind = serial === SERIAL.zero ? 0 : serial === SERIAL.one ? 1 : serial === SERIAL.int8 ? byte : undefined;
  return kind !== undefined && KINDS.has(kind) ? (kind as Kind) : undefined;
}

/**
 * Returns the length of a blob by its serial type; undefined if it is not the type of a blob, which is even and at
 * least 12.
 */
function blobBytes(serial = 0): number | undefined {
  const bytes = (serial - SERIAL.emptyBlob) / 2;
  return Number.isInteger(bytes) && bytes >= 0 ? bytes : undefined;
}

/**
 * Decodes a varint: seven bits per byte, most significant first, with the eighth bit set in all bytes but the last.
 * Undefined if it is too long or cut off.
 */
function readVarint(bytes: Buffer, offset: number): { readonly value: number; readonly end: number } | undefined {
  let value = 0;
  for (let at = offset; at < Math.min(offset + VARINT_BYTES_MAX, bytes.length); at += 1) {
    const byte = bytes.readUInt8(at);
    value = value * 128 + (byte & 0x7f);
    if (byte < 0x80) return { value, end: at + 1 };
  }
  return undefined;
}
