import koffi, { type LibraryHandle } from 'koffi';

/** The C library, for what Node has no words for. */
export const libc: LibraryHandle = koffi.load('libc.so.6');

// At its end koffi syncs the standard outputs, and where a disk refuses that (EIO, EDQUOT), waits for itself without end.
// Of process.exit() this leaves out what comes behind the listeners of `exit` (_exit(2)).
Object.assign(process, { reallyExit: libc.func('void _exit(int)') });
