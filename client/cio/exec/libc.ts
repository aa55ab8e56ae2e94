import koffi, { type LibraryHandle } from 'koffi';

/** The C library, for system calls that Node does not offer. */
export const libc: LibraryHandle = koffi.load('libc.so.6');

// When the process exits, koffi syncs the standard outputs, and if the disk fails that (EIO, EDQUOT), deadlocks.
// Calling _exit(2) skips everything that process.exit() does after the listeners of `exit`.
Object.assign(process, { reallyExit: libc.func('void _exit(int)') });
