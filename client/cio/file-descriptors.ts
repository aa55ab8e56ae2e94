import { fstatSync, openSync, readSync, writeSync, type OpenMode } from 'node:fs';
import { CommandError } from './command-error.ts';
import { reasonOf, reasonOfCode, shownPath } from './file-error.ts';

export const STDIN = 0;
export const STDOUT = 1;
export const STDERR = 2;

/** Wait before the next try, in milliseconds, on EAGAIN: another process may have made the descriptor non-blocking. */
const RETRY_MS = 5;

const CHUNK_BYTES = 64 * 1024;

const CR = 0x0d;
const LF = 0x0a;

/** Thrown when the reader of a pipe has closed it (EPIPE). That is not a failure by itself. */
export class BrokenPipeError extends Error {}

/**
 * Writes all of the content, and blocks until it is written. `process.stdout` would cost start-up time, and on exit it
 * loses what a pipe has not taken yet.
 *
 * @throws BrokenPipeError, CommandError `WriteFailed`
 */
export function writeAll(descriptor: number, content: Uint8Array | string): void {
  let rest = typeof content === 'string' ? Buffer.from(content) : content;
  while (rest.length > 0) {
    const written = retry(
      () => writeSync(descriptor, rest),
      (code) => {
        if (code === 'EPIPE') throw new BrokenPipeError();
        throw new CommandError('WriteFailed', `cannot write to ${nameOf(descriptor)}: ${reasonOfCode(code)}`);
      },
    );
    rest = rest.subarray(written);
  }
}

/**
 * Writes a message, and ignores failure: the work that the message is about has its result and its exit code anyway.
 *
 * @returns whether the message could be written
 */
export function tryWrite(descriptor: number, text: string): boolean {
  try {
    writeAll(descriptor, text);
    return true;
  } catch {
    return false;
  }
}

/**
 * Opens a file that the user named. A named pipe blocks until it has a writer, unless the flags say otherwise.
 *
 * @param what the file's name in a message
 * @throws CommandError `ReadFailed`
 */
export function openForReading(path: string, what: string, hint?: string, flags: OpenMode = 'r'): number {
  try {
    return openSync(path, flags);
  } catch (error) {
    throw new CommandError('ReadFailed', `cannot open ${what} ${shownPath(path)}: ${reasonOf(error)}`, hint);
  }
}

/**
 * Reads to the end of the file. Of a file that is longer than `bytesMax`, `bytesMax + 1` bytes are returned. The caller
 * owns them, and wipes them if they are a secret.
 *
 * @throws CommandError `ReadFailed`
 */
export function readBounded(descriptor: number, bytesMax: number, source: string): Buffer {
  const chunks: Buffer[] = [];
  let bytes = 0;
  while (bytes <= bytesMax) {
    const chunk = Buffer.alloc(Math.min(CHUNK_BYTES, bytesMax + 1 - bytes));
    const count = readChunk(descriptor, chunk, source);
    if (count === 0) break;
    chunks.push(chunk.subarray(0, count));
    bytes += count;
  }
  return join(chunks);
}

/**
 * Reads a line, without its end. It reads one byte at a time, and so leaves what follows to the next reader. Of a line
 * that is longer than `bytesMax`, `bytesMax + 1` bytes are returned.
 *
 * @throws CommandError `ReadFailed`
 */
export function readLine(descriptor: number, bytesMax: number, source: string): Buffer {
  const line = Buffer.alloc(bytesMax + 1);
  let length = 0;
  while (length < line.length && readChunk(descriptor, line.subarray(length, length + 1), source) === 1) {
    if (line[length] === LF) break;
    length += 1;
  }
  if (line[length - 1] === CR) length -= 1;
  return line.subarray(0, length);
}

function readChunk(descriptor: number, into: Buffer, source: string): number {
  return retry(
    () => readSync(descriptor, into, 0, into.length, null),
    (code) => {
      // EIO from a terminal means that it has hung up: end of input. From a failing disk it would cut a secret short.
      if ((code === 'EIO' && fstatSync(descriptor).isCharacterDevice()) || code === 'EOF') return 0;
      throw new CommandError('ReadFailed', `cannot read ${source}: ${reasonOfCode(code)}`);
    },
  );
}

/** Joins chunks, and wipes them, as they may hold a secret. */
function join(chunks: readonly Buffer[]): Buffer {
  const joined = Buffer.concat(chunks);
  for (const chunk of chunks) chunk.fill(0);
  return joined;
}

function retry(operate: () => number, onError: (code: string) => number): number {
  for (;;) {
    try {
      return operate();
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code ?? 'unknown error';
      if (code !== 'EAGAIN') return onError(code);
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, RETRY_MS);
    }
  }
}

function nameOf(descriptor: number): string {
  return descriptor === STDOUT ? 'standard output' : 'standard error';
}
