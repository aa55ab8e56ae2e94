import { writeSync } from 'node:fs';
import { CommandError } from '../command-error.ts';
import { libc } from './libc.ts';

/** memfd_create(2), fcntl(2), F_SEAL_*. */
const MFD_ALLOW_SEALING = 2;
const F_ADD_SEALS = 1033;
const EVERY_SEAL = 0x0f;

/** The first descriptor that is none of the standard streams. */
const FIRST_FREE = 3;

/**
 * Makes a file that has no name and is in memory only, whose content nobody can change, and gives its descriptor, by which
 * this process, and what it becomes or starts, can open `/dev/fd/N` any number of times. It is not closed when another
 * program is executed.
 *
 * @throws CommandError `WriteFailed`
 */
export function makeMemoryFile(content: string): number {
  const descriptor = libc.func('int memfd_create(const char *, unsigned int)')('cio', MFD_ALLOW_SEALING) as number;
  // A standard stream that the caller had closed would be taken for the file.
  if (descriptor < FIRST_FREE)
    throw new CommandError('WriteFailed', 'cannot make a file in memory', 'are the standard streams open?');
  const bytes = Buffer.from(content);
  for (let rest = bytes; rest.length > 0;) rest = rest.subarray(writeSync(descriptor, rest));
  bytes.fill(0);
  if (libc.func('int fcntl(int, int, ...)')(descriptor, F_ADD_SEALS, 'int', EVERY_SEAL) !== 0) {
    throw new CommandError('WriteFailed', 'cannot seal a file in memory');
  }
  return descriptor;
}
