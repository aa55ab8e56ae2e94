import { writeSync } from 'node:fs';
import { CommandError } from '../command-error.ts';
import { libc } from './libc.ts';

/** memfd_create(2), fcntl(2), F_SEAL_*. */
const MFD_ALLOW_SEALING = 2;
const F_ADD_SEALS = 1033;
const ALL_SEALS = 0x0f;

/** The first descriptor after the standard streams. */
const FIRST_FREE = 3;

/**
 * Creates a sealed memory file, which has no name and cannot be changed, and returns its descriptor N. This process,
 * the program that it becomes and its children can open `/dev/fd/N` any number of times: the descriptor stays open
 * across execve(2).
 *
 * @throws CommandError `WriteFailed`
 */
export function makeMemoryFile(content: string): number {
  const descriptor = libc.func('int memfd_create(const char *, unsigned int)')('cio', MFD_ALLOW_SEALING) as number;
  // If the caller had closed a standard stream, the file would take its place.
  if (descriptor < FIRST_FREE)
    throw new CommandError('WriteFailed', 'cannot make a file in memory', 'are the standard streams open?');
  const bytes = Buffer.from(content);
  for (let rest = bytes; rest.length > 0;) rest = rest.subarray(writeSync(descriptor, rest));
  bytes.fill(0);
  if (libc.func('int fcntl(int, int, ...)')(descriptor, F_ADD_SEALS, 'int', ALL_SEALS) !== 0) {
    throw new CommandError('WriteFailed', 'cannot seal a file in memory');
  }
  return descriptor;
}
