import { ConnectionError, type ConnectionFailure } from '../connection-error.ts';
import { CredentialError, EXIT, EXIT_OF_ERROR, type ErrorCode } from '../../src/errors.ts';
import { SOCKET_PATH_BYTES_MAX, VALUE_BYTES_MAX, WATCHED_PER_USER_MAX } from '../../src/limits.ts';
import { memberName } from '../../src/sets.ts';
import type { Errors } from '../../src/protocol/interface.generated.ts';
import { abbreviate } from './abbreviate.ts';
import { CommandError, RewordedError } from './command-error.ts';

/** All there is to say about an error: what failed, on what, why, and the next step. */
export interface Explanation {
  readonly exit: number;
  /** A name for programs: that of the interface, or one of this side's own. */
  readonly code: string;
  readonly message: string;
  readonly hint?: string | undefined;
  /** The fields of the interface's error. */
  readonly fields?: object;
}

/** The same as a document for programs. */
export function documentOf({ code, fields, message, hint }: Explanation): object {
  return { code, ...fields, message, ...(hint && { hint }) };
}

/** `exit` where it is not that of the code. */
type Words = Pick<Explanation, 'message' | 'hint'> & { readonly exit?: number };

/** The words for an error, and the exit code that follows from it. */
export function explain(error: unknown): Explanation {
  if (error instanceof CredentialError) return explainRefusal(error);
  if (error instanceof RewordedError) return { ...explain(error.cause), ...error.words };
  if (error instanceof CommandError) {
    return { exit: error.exit, code: error.code, message: error.message, hint: error.hint };
  }
  if (error instanceof ConnectionError) return explainConnection(error);
  if (error instanceof Error && (error as NodeJS.ErrnoException).syscall === 'uv_cwd') return WITHOUT_DIRECTORY;
  // A defect. Messages of Node can quote what they were given; the places in the code cannot.
  const frames = error instanceof Error ? (error.stack ?? '').split('\n').filter((line) => /^ {4}at /.test(line)) : [];
  const where =
    frames.length === 0
      ? ''
      : ` ${frames
          .slice(0, 3)
          .map((frame) => frame.trim())
          .join(' ')}`;
  return { exit: EXIT.failed, code: 'Defect', message: `cio has a defect:${where}`, hint: 'please report it' };
}

/** A path is relative to what is gone, or to what this user may not look at. */
const WITHOUT_DIRECTORY: Explanation = {
  exit: EXIT.failed,
  code: 'ReadFailed',
  message: 'the directory that this runs in was removed, or is closed to this user',
  hint: 'change to another one: cd',
};

function explainRefusal({ code, fields }: CredentialError): Explanation {
  const words = (MESSAGE_OF_ERROR[code] as (fields: object) => Words)(fields);
  return { exit: EXIT_OF_ERROR[code], code, fields, ...words };
}

const SEE_LIST = 'cio credential list shows what there is';
const SEE_LOG = "the daemon's log has more";

const MESSAGE_OF_ERROR: { readonly [Code in ErrorCode]: (fields: Errors[Code]) => Words } = {
  NotFound: ({ name }) => ({ message: `${subject(name)} not found`, hint: SEE_LIST }),
  AlreadyExists: ({ name }) => ({
    message: `${subject(name)} exists already`,
    hint: '--replace gives it a new value; the old one is kept as a version',
  }),
  InvalidName: ({ name, reason }) => invalidName(name, reason),
  InvalidValue: ({ name, reason }) => invalidValue(abbreviate(name), reason),
  AccessDenied: ({ name, right }) => ({
    message: name ? `no right to ${right} ${abbreviate(name)}` : `no right to ${right}`,
    hint:
      right === 'administer'
        ? 'this takes root, a member of the group cio, or the user that the daemon runs as'
        : 'root, a member of the group cio, or its owner can do it',
  }),
  Incomplete: ({ set, missing }) => ({
    message: `set ${abbreviate(set)} is not complete: it lacks ${missing.join(', ')}`,
    hint: missing[0] === undefined ? SEE_LIST : `cio credential create ${memberName(set, missing[0])}`,
  }),
  Conflict: ({ expected, actual }) => ({
    message: `it was changed in the meantime: generation ${actual}, not ${expected}`,
    hint: 'look at it again, and repeat the command',
  }),
  Locked: () => ({ message: 'the store is locked', hint: 'an administrator can open it: cio credential unlock' }),
  UnlockFailed: ({ reason }) => UNLOCK_FAILED[reason],
  LastSlot: () => ({
    message: 'it is the last slot: without it nothing could open the store again',
    hint: 'add another one first: cio credential slot add',
  }),
  TooLarge: ({ limit }) => tooLarge(limit),
  StorageFull: () => ({
    message: 'the disk of the store is full; nothing was changed',
    hint: "make room in the daemon's state directory, and repeat the command",
  }),
  StorageFailed: ({ reason }) => STORAGE_FAILED[reason],
  Damaged: ({ name }) => ({
    message: name ? `${subject(name)} is damaged, and cannot be read` : 'the store is damaged',
    hint: name
      ? 'cio credential fsck names what is damaged; a kept version may still be good: cio credential rollback'
      : 'cio credential fsck names what is damaged, and says what can be done',
  }),
  BadCopy: ({ reason }) => BAD_COPY[reason],
  Busy: () => ({ message: 'the daemon has too much to do at the moment', hint: 'repeat the command a little later' }),
  TimedOut: () => ({ message: 'the daemon gave up waiting', hint: 'repeat the command' }),
  MalformedMessage: () => ({
    message: 'the daemon did not understand the call',
    hint: 'cio and the daemon may be of different versions: cio --version, cio credential status',
  }),
  InternalError: () => ({ message: 'the daemon has a defect', hint: SEE_LOG }),
};

/** Without a name the reason may be about something else than a credential: it says what. */
function invalidName(name: string, reason: string): Words {
  if (name === '' && !/^(?:it|character)\b/.test(reason)) {
    const isOfUnit = reason.includes('unit name');
    return {
      message: reason,
      ...(isOfUnit && { hint: 'it is one as in restic.service, or restic@.service for all its instances' }),
    };
  }
  return {
    message: `the name${name === '' ? '' : ` that begins with ${abbreviate(name)}`} is not valid: ${reason}`,
    hint: 'a name is a-z, 0-9 and _ . -, at most 128 characters, as in cio_aws_backup_repo',
  };
}

/** What a rollback is refused for is no matter of the value. */
function invalidValue(name: string, reason: string): Words {
  if (reason.startsWith('a set goes back'))
    return { exit: EXIT.usage, message: `${name}: ${reason}`, hint: 'give --generation in place of --version' };
  if (!reason.startsWith('no such version')) return { message: `the value of ${name} is not valid: ${reason}` };
  return {
    exit: EXIT.notFound,
    message: `${name}: ${reason}`,
    hint: 'cio credential history shows which of them are',
  };
}

function tooLarge(limit: number): Words {
  switch (limit) {
    case VALUE_BYTES_MAX:
      return { message: `the value is larger than 1 MiB (${limit} bytes)` };
    case WATCHED_PER_USER_MAX:
      return {
        message: `it is more than ${limit} credentials and sets, too many to watch at a time`,
        hint: "name a part of them: cio credential watch 'aws*'",
      };
    default:
      return {
        message: `it is over the limit of ${limit}`,
        hint: 'do it in several steps, or remove or revoke what is not needed',
      };
  }
}

const UNLOCK_FAILED: { readonly [Reason in Errors['UnlockFailed']['reason']]: Words } = {
  wrong_secret: {
    message: 'it opens none of the slots',
    hint: 'try again; is the key file in its place? cio credential unlock --recovery takes the recovery code',
  },
  no_slot: {
    message: 'there is no slot for it',
    hint: 'a recovery code may open the store: cio credential unlock --recovery',
  },
  bad_code: { message: 'the recovery code is mistyped: its check digits are wrong', hint: 'compare it with the print' },
};

const BAD_COPY: { readonly [Reason in Errors['BadCopy']['reason']]: Words } = {
  gone: { message: 'the daemon has dropped the copy; nothing was changed', hint: 'repeat the command' },
  not_whole: {
    message: 'the copy did not arrive as it was sent; nothing was changed',
    hint: 'repeat the command; if it stays so, something is wrong with the memory or the disk',
  },
  foreign: {
    message: 'the file is no copy of a store; nothing was changed',
    hint: 'such a copy is made by cio credential backup; an encrypted export is for cio credential import',
  },
  newer: {
    message: 'the copy was made by a newer version; nothing was changed',
    hint: 'install that version of cio-credentiald first',
  },
  damaged: {
    message: 'the copy is damaged: something of it is missing, changed or added; nothing was changed',
    hint: 'take another copy; what can still be read of this one: docs/disaster-recovery.md',
  },
  too_large: { message: 'the copy is larger than the daemon takes; nothing was changed', hint: SEE_LOG },
};

const STORAGE_FAILED: { readonly [Reason in Errors['StorageFailed']['reason']]: Words } = {
  read_only: {
    message: 'the file system of the store is read-only; nothing was changed',
    hint: "make the daemon's state directory writable, and repeat the command",
  },
  changed_by_other: {
    message: 'somebody else changed the store; nothing was changed by this command',
    hint: `one daemon must have the store to itself; ${SEE_LOG}`,
  },
  io: { message: 'the store cannot be read or written', hint: SEE_LOG },
};

/** In the place of an error’s code. */
const UNKNOWN = 'unknown error';

function explainConnection(error: ConnectionError): Explanation {
  const { reason, socket, detail } = error;
  const cause = error.cause instanceof Error ? (error.cause as NodeJS.ErrnoException).code : undefined;
  return {
    ...exitOfConnection(error),
    fields: { reason, socket, ...(detail !== undefined && { detail }) },
    ...CONNECTION_FAILED[reason](socket, detail ?? cause ?? UNKNOWN),
  };
}

function exitOfConnection({ reason, detail = '' }: ConnectionError): Pick<Explanation, 'exit' | 'code'> {
  if (reason === 'rejected') {
    if (detail.startsWith('InvalidParameter')) return { exit: EXIT.invalid, code: 'Rejected' };
    return { exit: detail === 'PermissionDenied' ? EXIT.accessDenied : EXIT.failed, code: 'Rejected' };
  }
  if (reason === 'bad_reply') return { exit: EXIT.failed, code: 'BadReply' };
  return { exit: EXIT.notReachable, code: 'NotReachable' };
}

/** What is known where the daemon did it. */
const ENDED_THERE: ReadonlySet<string> = new Set([UNKNOWN, 'ECONNRESET', 'EPIPE']);

const START = 'start the daemon: systemctl start cio-credentiald.socket, or npm start in a checkout';

const CONNECTION_FAILED: { readonly [Reason in ConnectionFailure]: (socket: string, detail: string) => Words } = {
  not_found: (socket) => ({ message: `no daemon: there is no socket ${socket}`, hint: START }),
  refused: (socket) => ({ message: `no daemon: nobody listens on ${socket}`, hint: START }),
  permission: (socket) => ({
    message: `no access to the socket ${socket}`,
    hint: 'its folder or mode keeps you out; run it as root, or as a member of the group cio',
  }),
  path_too_long: (socket) => ({
    message: `the path of the socket has ${Buffer.byteLength(socket)} bytes, more than ${SOCKET_PATH_BYTES_MAX}`,
    hint: 'give the daemon a shorter --runtime-dir, and cio the same by CIO_RUNTIME_DIR or --socket',
  }),
  untrusted: (socket) => ({
    message: `the folder of ${socket} is not yours alone: whoever can write there could pose as the daemon`,
    hint: 'the variable XDG_RUNTIME_DIR may be that of another user; --socket names a socket that you trust',
  }),
  timed_out: (socket) => ({
    message: `the daemon at ${socket} does not answer`,
    hint: 'look at its log, or restart it',
  }),
  closed: (socket, detail) => ({
    message: ENDED_THERE.has(detail)
      ? `the daemon at ${socket} ended the connection`
      : `the connection to ${socket} broke: ${detail}`,
    hint: SEE_LOG,
  }),
  bad_reply: (socket) => ({
    message: `what listens on ${socket} does not answer as the daemon does`,
    hint: 'cio and the daemon may be of different versions: cio --version',
  }),
  rejected: (socket, detail) => ({
    message: `the daemon at ${socket} does not take this call (${detail})`,
    hint: 'it may be of another version than cio: compare cio --version with cio credential status; an upgrade restarts it',
  }),
  failed: (socket, detail) => ({ message: `cannot connect to ${socket}: ${detail}`, hint: START }),
};

function subject(name: string): string {
  return `${name.startsWith('cio_') ? 'credential ' : ''}${abbreviate(name)}`;
}
