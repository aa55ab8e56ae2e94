import { closeSync } from 'node:fs';
import { CredentialError } from '../../src/errors.ts';
import { VALUE_BYTES_MAX } from '../../src/limits.ts';
import { CommandError } from './command-error.ts';
import { openForReading, readBounded, STDIN } from './file-descriptors.ts';

const CR = 0x0d;
const LF = 0x0a;

/** Longest newline that may follow a value without being part of it, in bytes: CR LF. */
const NEWLINE_BYTES_MAX = 2;

/** Rules for reading a value from a stream. */
export interface ValueRules {
  /** The newline at the end is part of the value. */
  readonly keepNewline: boolean;
}

/** Reads a value from standard input, see {@link readValue}. */
export function readValueFromStdin(rules: ValueRules): Buffer {
  return readValue(STDIN, 'standard input', rules);
}

/**
 * Reads a value from a file, see {@link readValue}.
 *
 * @param file the file's name in a message
 */
export function readValueFromFile(path: string, rules: ValueRules, file = 'the file'): Buffer {
  const descriptor = openForReading(path, file);
  try {
    return readValue(descriptor, file, rules);
  } finally {
    closeSync(descriptor);
  }
}

/**
 * Reads a value, without the one newline that editors and `echo` put at the end. It reads no more than a value can
 * have.
 *
 * @throws CommandError `NoValue`, `ReadFailed`
 * @throws CredentialError `TooLarge`
 */
function readValue(descriptor: number, source: string, { keepNewline }: ValueRules): Buffer {
  const bytes = readBounded(descriptor, VALUE_BYTES_MAX + NEWLINE_BYTES_MAX, source);
  const value = keepNewline ? bytes : withoutNewline(bytes);
  if (value.length === 0) throw new CommandError('NoValue', `${source} has no value`, 'a value has at least one byte');
  if (value.length > VALUE_BYTES_MAX) throw new CredentialError('TooLarge', { limit: VALUE_BYTES_MAX });
  return value;
}

/** Returns bytes without one LF or CR LF at their end. */
export function withoutNewline(bytes: Buffer): Buffer {
  if (bytes.at(-1) !== LF) return bytes;
  return bytes.subarray(0, bytes.at(-2) === CR ? -2 : -1);
}
