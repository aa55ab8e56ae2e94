import { isCredentialError } from './errors.ts';
import { ITEMS_PER_CALL_MAX, MESSAGE_BYTES_MAX, VALUE_BYTES_MAX } from './limits.ts';
import { isUuid, parseName } from './names.ts';

/** The value of `format` in an export, which distinguishes it from any other JSON document. */
export const EXPORT_FORMAT = 'cio-credential-export';

/** The version that this program writes, and the newest that it reads. */
export const EXPORT_VERSION = 1;

/** Most credentials in an export: as many as one `Create` takes, so that an import is a single commit. */
export const EXPORT_CREDENTIALS_MAX: number = ITEMS_PER_CALL_MAX;

/** Room for the rest of a call besides the credentials, and for names that `--as-alt` makes longer. */
const CALL_BYTES: number = 64 * 1024;

/** Largest export, in bytes of UTF-8, so that its credentials fit into one call. */
export const EXPORT_BYTES_MAX: number = MESSAGE_BYTES_MAX - CALL_BYTES;

/** One credential of an export: `value` for text, else `data` in base64; exactly one of the two. */
export type ExportedCredential =
  | { readonly name: string; readonly value: string }
  | { readonly name: string; readonly data: string };

/** The plaintext document inside an encrypted export: credentials of one owner. */
export interface ExportDocument {
  /** Milliseconds since 1970. */
  readonly created: number;
  /** UUID of the store that the export comes from. The daemon tells it to administrators only; otherwise missing. */
  readonly storeId?: string;
  /** Sorted by name, each name once. */
  readonly credentials: readonly ExportedCredential[];
}

/** A document is not an export that this program can read. The error says where and why, and quotes no value. */
export class ExportFormatError extends Error {
  /** Place in the document, as in `credentials[3].name`; empty for the whole document. */
  readonly path: string;
  readonly reason: string;

  constructor(path: string, reason: string) {
    super(path === '' ? reason : `${path}: ${reason}`);
    this.name = 'ExportFormatError';
    this.path = path;
    this.reason = reason;
  }
}

/** Formats an export as JSON, with one line for each credential so that it can be read by eye. */
export function formatExport({ created, storeId, credentials }: ExportDocument): string {
  const head = { format: EXPORT_FORMAT, version: EXPORT_VERSION, created, ...(storeId !== undefined && { storeId }) };
  const lines = credentials.map((credential) => `\n    ${JSON.stringify(credential)}`);
  return `${JSON.stringify(head).slice(0, -1)},"credentials":[${lines.join()}\n]}\n`;
}

/**
 * Parses the text of an export and checks every part of it: values are within their limits, and there are no unknown
 * fields. The returned names are canonical.
 *
 * @throws ExportFormatError
 */
export function parseExport(text: string): ExportDocument {
  // The length in UTF-16 units never exceeds that in bytes of UTF-8.
  if (text.length > EXPORT_BYTES_MAX) throw new ExportFormatError('', `it is larger than ${EXPORT_BYTES_MAX} bytes`);
  const document = parseJson(text);
  if (!isObject(document) || document['format'] !== EXPORT_FORMAT)
    throw new ExportFormatError('', `it is not a ${EXPORT_FORMAT}`);
  const { version, created, storeId, credentials } = document;
  if (typeof version !== 'number' || !Number.isSafeInteger(version) || version < 1) {
    throw new ExportFormatError('version', 'it is not a whole number');
  }
  if (version > EXPORT_VERSION) {
    throw new ExportFormatError('version', `it is ${version}, and this program reads up to ${EXPORT_VERSION}`);
  }
  refuseUnknown(document, ['format', 'version', 'created', 'storeId', 'credentials'], '');
  if (typeof created !== 'number' || !Number.isSafeInteger(created) || created < 0) {
    throw new ExportFormatError('created', 'it is not a time in milliseconds');
  }
  if (storeId !== undefined && !(typeof storeId === 'string' && isUuid(storeId))) {
    throw new ExportFormatError('storeId', 'it is not a UUID');
  }
  return {
    created,
    ...(storeId !== undefined && { storeId }),
    credentials: readCredentials(credentials),
  };
}

function readCredentials(list: unknown): ExportedCredential[] {
  if (!Array.isArray(list)) throw new ExportFormatError('credentials', 'it is not a list');
  if (list.length > EXPORT_CREDENTIALS_MAX) {
    throw new ExportFormatError('credentials', `there are more than ${EXPORT_CREDENTIALS_MAX}`);
  }
  const names = new Set<string>();
  return list.map((entry: unknown, index) => {
    const path = `credentials[${index}]`;
    const credential = readCredential(entry, path);
    if (names.has(credential.name)) throw new ExportFormatError(`${path}.name`, `${credential.name} occurs twice`);
    names.add(credential.name);
    return credential;
  });
}

function readCredential(entry: unknown, path: string): ExportedCredential {
  if (!isObject(entry)) throw new ExportFormatError(path, 'it is not an object');
  refuseUnknown(entry, ['name', 'value', 'data'], path);
  const { name, value, data } = entry;
  const canonical = readName(name, `${path}.name`);
  if (value === undefined && data === undefined) throw new ExportFormatError(path, 'it has neither value nor data');
  if (value !== undefined && data !== undefined) throw new ExportFormatError(path, 'it has both value and data');
  if (value !== undefined) {
    if (typeof value !== 'string' || !value.isWellFormed())
      throw new ExportFormatError(`${path}.value`, 'it is not text');
    checkSize(utf8Bytes(value), `${path}.value`);
    return { name: canonical, value };
  }
  if (typeof data !== 'string' || !isBase64(data)) throw new ExportFormatError(`${path}.data`, 'it is not base64');
  checkSize(base64Bytes(data), `${path}.data`);
  return { name: canonical, data };
}

function readName(name: unknown, path: string): string {
  if (typeof name !== 'string') throw new ExportFormatError(path, 'it is not text');
  try {
    return parseName(name);
  } catch (error) {
    if (!isCredentialError(error, 'InvalidName')) throw error;
    throw new ExportFormatError(path, `the name is not valid: ${error.fields.reason}`);
  }
}

function checkSize(bytes: number, path: string): void {
  if (bytes === 0) throw new ExportFormatError(path, 'it is empty');
  if (bytes > VALUE_BYTES_MAX) throw new ExportFormatError(path, `it is larger than ${VALUE_BYTES_MAX} bytes`);
}

/** Throws if an object has unknown fields, since such a field may change the meaning of the others. */
function refuseUnknown(object: Record<string, unknown>, known: readonly string[], path: string): void {
  if (Object.keys(object).every((field) => known.includes(field))) return;
  throw new ExportFormatError(path, `it has a field other than ${known.join(', ')}`);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Parses JSON without passing on V8's error messages, which quote the text. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw new ExportFormatError('', 'it is not valid JSON; was the file cut off?');
  }
}

/** Returns the UTF-8 length of a well-formed text in bytes. A surrogate pair has four bytes, two for each unit. */
function utf8Bytes(text: string): number {
  let bytes = text.length;
  for (let index = 0; index < text.length; index += 1) {
    const unit = text.charCodeAt(index);
    if (unit >= 0x800 && (unit < 0xd800 || unit > 0xdfff)) bytes += 2;
    else if (unit >= 0x80) bytes += 1;
  }
  return bytes;
}

/** Tells whether a text is canonical base64: RFC 4648's alphabet, padded, unused bits of the last character zero. */
function isBase64(text: string): boolean {
  if (text.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(text)) return false;
  return !text.endsWith('=') || /^(?:.[AQgw]==|..[AEIMQUYcgkosw048]=)$/.test(text.slice(-4));
}

function base64Bytes(text: string): number {
  const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0;
  return (text.length / 4) * 3 - padding;
}
