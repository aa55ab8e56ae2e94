import { quoteIfNeeded } from '../../../../src/forms/shell.ts';
import type { Facts, FileFacts, StoreFacts } from '../facts.ts';
import { distrustReason } from '../trust.ts';
import { Notes, type Verdict } from '../verdict.ts';
import { octal } from '../octal.ts';

const FOR_OTHERS = 0o077;
const MIB = 1024 * 1024;

/** Room for some thousand changes, and for their pages in SQLite's WAL. */
const FREE_BYTES_MIN: number = 64 * MIB;

/** Network file systems: file locks are unreliable there, and an fsync may not reach the server's disk. */
const NETWORK_FILE_SYSTEM =
  /^(?:nfs4?|cifs|smb3|smbfs|9p|afs|ceph|glusterfs|lustre|ncpfs|fuse\.(?:sshfs|glusterfs|ceph|s3fs|rclone|davfs|gvfsd-fuse)|davfs)$/;
const MEMORY_FILE_SYSTEM = /^(?:tmpfs|ramfs)$/;

/** Checks whether only the daemon can read the store, and whether it is intact, on a local disk, with enough room. */
export function checkStore(facts: Facts): Verdict {
  const notes = new Notes();
  const { daemon } = facts;
  const seen = notes.see(facts.store);
  if (seen === undefined || daemon.kind !== 'answered') return notes;
  const reason = distrustReason(facts);
  if (reason !== undefined) {
    notes.skip(`the daemon is not trusted to say where its store is: ${reason}`);
    return notes;
  }
  const { uid } = daemon.status;
  const directory = notes.see(seen.directory);
  if (directory !== undefined) {
    if (directory.kind === 'directory') checkOwner(notes, directory, uid, '0700');
    else notes.error(`${directory.path} is not a directory`, 'the store of the daemon is not where it says');
  } else if ('value' in seen.directory) {
    notes.error('the state directory is gone', 'what is stored from now on is lost when the daemon stops');
  }
  for (const file of notes.see(seen.files) ?? []) checkOwner(notes, file, uid, '0600');
  checkDisk(notes, seen, directory?.path ?? 'the state directory');
  if (daemon.status.intact === false) {
    notes.error(
      'records of the store are missing, were added, or were replaced by older ones',
      'somebody, or a faulty disk, changed the file: the daemon may serve an older value for a newer one',
      'cio credential fsck',
    );
  }
  return notes;
}

function checkOwner(notes: Notes, { path, uid, mode }: FileFacts, daemonUid: number, wanted: string): void {
  if ((mode & FOR_OTHERS) !== 0) {
    notes.error(
      `${path} has mode ${octal(mode)}, not ${wanted}`,
      'others can copy the store or its key; a copy of both is a copy of every secret',
      `chmod ${wanted} ${quoteIfNeeded(path)}`,
    );
  }
  if (uid !== daemonUid) {
    notes.error(
      `${path} belongs to uid ${uid}, the daemon runs as uid ${daemonUid}`,
      'its owner can give anybody access to it, and the daemon may not be able to write it',
      `chown ${daemonUid} ${quoteIfNeeded(path)}`,
    );
  }
}

function checkDisk(notes: Notes, { mount, freeBytes, databaseBytes }: StoreFacts, path: string): void {
  const on = notes.see(mount);
  if (on !== undefined && NETWORK_FILE_SYSTEM.test(on.type)) {
    notes.error(
      `${path} is on a network file system (${on.type})`,
      'locks are unreliable there, and writes may not reach a disk: two daemons can ruin the store; move it to a local disk',
    );
  } else if (on !== undefined && MEMORY_FILE_SYSTEM.test(on.type)) {
    notes.error(
      `${path} is in memory (${on.type})`,
      'everything stored is gone when the host restarts; move it to a disk',
    );
  }
  if (on?.isReadOnly === true) {
    notes.error(
      `the file system of ${path} is read-only`,
      'nothing can be stored',
      `mount -o remount,rw "$(findmnt -n -o TARGET -T ${quoteIfNeeded(path)})"`,
    );
  }
  const free = notes.see(freeBytes);
  // A rekey writes every record once more, through the WAL.
  const wanted = Math.max(FREE_BYTES_MIN, 2 * (notes.see(databaseBytes) ?? 0));
  if (free !== undefined && free < wanted) {
    notes.warning(
      `the file system of ${path} has ${Math.floor(free / MIB)} MiB left`,
      `a change or a rekey may need ${Math.ceil(wanted / MIB)} MiB; without room, nothing can be stored`,
      `du -xh --max-depth=2 ${quoteIfNeeded(path)}`,
    );
  }
}
