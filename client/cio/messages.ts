import { ConnectionError, type ConnectionFailure } from '../connection-error.ts';
import { CredentialError, EXIT, EXIT_OF_ERROR, type ErrorCode } from '../../src/errors.ts';
import { SOCKET_PATH_BYTES_MAX, VALUE_BYTES_MAX, WATCHED_PER_USER_MAX } from '../../src/limits.ts';
import { memberName } from '../../src/sets.ts';
import type { Errors } from '../../src/protocol/interface.generated.ts';
import { abbreviate } from './abbreviate.ts';
import { CommandError, RewordedError } from './command-error.ts';

/** What the user is told about an error: what failed, on what, why, and the next step. */
export interface Explanation {
  readonly exit: number;
  /** A name for programs: the error's name in the Varlink interface, or one of the client's own. */
  readonly code: string;
  readonly message: string;
  readonly hint?: string | undefined;
  /** The parameters of the Varlink error. */
  readonly fields?: object;
}

/** Returns an explanation as a JSON document for programs. */
export function documentOf({ code, fields, message, hint }: Explanation): object {
  return { code, ...fields, message, ...(hint && { hint }) };
}

/** Message and hint. `exit` is set only if the exit code differs from the one that belongs to the error code. */
type Words = Pick<Explanation, 'message' | 'hint'> & { readonly exit?: number };

/** Returns the message and hint for an error, and its exit code. */
export function explain(error: unknown): Explanation {
  if (error instanceof CredentialError) return explainRefusal(error);
  if (error instanceof RewordedError) return { ...explain(error.cause), ...error.words };
  if (error instanceof CommandError) {
    return { exit: error.exit, code: error.code, message: error.message, hint: error.hint };
  }
  if (error instanceof ConnectionError) return explainConnection(error);
  if (error instanceof Error && (error as NodeJS.ErrnoException).syscall === 'uv_cwd') return WITHOUT_DIRECTORY;
  // A defect in cio. A message from Node may quote its input, which can be a secret; stack frames cannot.
  const frames = error instanceof Error ? (error.stack ?? '').split('\n').filter((line) => /^ {4}at /.test(line)) : [];
  const where =
    frames.length === 0
      ? ''
      : ` ${frames
          .slice(0, 3)
          .map((frame) => frame.trim())
          .join(' ')}`;
  return { exit: EXIT.failed, code: 'Defect', message: `internal error in cio:${where}`, hint: 'please report it' };
}

/** The working directory was removed, or this user may not search it: relative paths cannot be resolved. */
const WITHOUT_DIRECTORY: Explanation = {
  exit: EXIT.failed,
  code: 'ReadFailed',
  message: 'the current directory was removed, or this user may not enter it',
  hint: 'change to another one: cd',
};

function explainRefusal({ code, fields }: CredentialError): Explanation {
  const words = (MESSAGE_OF_ERROR[code] as (fields: object) => Words)(fields);
  return { exit: EXIT_OF_ERROR[code], code, fields, ...words };
}

const SEE_LIST = 'cio credential list shows what is stored';
const SEE_LOG = "see the daemon's log";

const MESSAGE_OF_ERROR: { readonly [Code in ErrorCode]: (fields: Errors[Code]) => Words } = {
  NotFound: ({ name }) => ({ message: `${subject(name)} not found`, hint: SEE_LIST }),
  AlreadyExists: ({ name }) => ({
    message: `${subject(name)} already exists`,
    hint: '--replace gives it a new value; the old one is kept as a version',
  }),
  InvalidName: ({ name, reason }) => invalidName(name, reason),
  InvalidValue: ({ name, reason }) => invalidValue(abbreviate(name), reason),
  AccessDenied: ({ name, right }) => ({
    message: name ? `no right to ${right} ${abbreviate(name)}` : `no right to ${right}`,
    hint:
      right === 'administer'
        ? 'root, a member of the group cio, or the user that the daemon runs as can do it'
        : 'root, a member of the group cio, or its owner can do it',
  }),
  Incomplete: ({ set, missing }) => ({
    message: `set ${abbreviate(set)} is not complete: it lacks ${missing.join(', ')}`,
    hint: missing[0] === undefined ? SEE_LIST : `cio credential create ${memberName(set, missing[0])}`,
  }),
  Conflict: ({ expected, actual }) => ({
    message: `it was changed in the meantime: generation ${actual}, not ${expected}`,
    hint: 'check what changed, and repeat the command',
  }),
  Locked: () => ({ message: 'the store is locked', hint: 'an administrator can open it: cio credential unlock' }),
  UnlockFailed: ({ reason, troubles }) => ({
    ...UNLOCK_FAILED[reason],
    ...(troubles && { message: `no slot opens the store by itself: ${troubles.join('; ')}` }),
  }),
  LastSlot: () => ({
    message: 'this is the last slot: without it, nothing could open the store again',
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
  OutOfMemory: ({ bytes }) => ({
    message: `the daemon cannot get ${Math.ceil(bytes / 1024 ** 2)} MiB of memory; nothing was changed`,
    hint: 'free memory, or raise its limit, and repeat the command',
  }),
  BadCopy: ({ reason }) => BAD_COPY[reason],
  Busy: () => ({ message: 'the daemon is too busy at the moment', hint: 'repeat the command a little later' }),
  TimedOut: () => ({ message: 'the daemon gave up waiting', hint: 'repeat the command' }),
  MalformedMessage: () => ({
    message: 'the daemon did not understand the call',
    hint: 'the versions of cio and the daemon may differ: cio --version, cio credential status',
  }),
  InternalError: () => ({ message: 'internal error in the daemon', hint: SEE_LOG }),
};

/** The reasons for which `parseName()` refuses a name. The daemon has others, for valid names and for units. */
const NAME_SYNTAX = /^(?:character |it is (?:empty|longer)|it has the form)/;

function invalidName(name: string, reason: string): Words {
  if (NAME_SYNTAX.test(reason)) {
    return {
      message: `the name${name === '' ? '' : ` that begins with ${abbreviate(name)}`} is not valid: ${reason}`,
      hint: 'a name is a-z, 0-9 and _ . -, at most 128 characters, as in cio_aws_backup_repo',
    };
  }
  return {
    message: name === '' ? reason : `${abbreviate(name)}: ${reason}`,
    ...(reason.includes('unit name') && {
      hint: 'for example restic.service, or restic@.service for all its instances',
    }),
  };
}

/** A refused rollback arrives as `InvalidValue` too, but is no fault of a value: it is a usage error, or not found. */
function invalidValue(name: string, reason: string): Words {
  if (reason.startsWith('a set goes back'))
    return { exit: EXIT.usage, message: `${name}: ${reason}`, hint: 'use --generation instead of --version' };
  if (!/^no (?:such|earlier) version/.test(reason)) return { message: `the value of ${name} is not valid: ${reason}` };
  return {
    exit: EXIT.notFound,
    message: `${name}: ${reason}`,
    hint: 'cio credential history shows which versions are kept',
  };
}

function tooLarge(limit: number): Words {
  switch (limit) {
    case VALUE_BYTES_MAX:
      return { message: `the value is larger than 1 MiB (${limit} bytes)` };
    case WATCHED_PER_USER_MAX:
      return {
        message: `more than ${limit} credentials and sets are too many to watch at once`,
        hint: "watch only some of them: cio credential watch 'aws*'",
      };
    default:
      return {
        message: `this exceeds the limit of ${limit}`,
        hint: 'do it in several steps, or remove or revoke what is not needed',
      };
  }
}

const UNLOCK_FAILED: { readonly [Reason in Errors['UnlockFailed']['reason']]: Words } = {
  wrong_secret: {
    message: 'no slot opens with that key, passphrase or code',
    hint: 'try again; is the key file in place? The recovery code is for: cio credential unlock --recovery',
  },
  no_slot: {
    message: 'there is no slot of this kind',
    hint: 'a recovery code may open the store: cio credential unlock --recovery',
  },
  bad_code: {
    message: 'the recovery code is mistyped: its check digits are wrong',
    hint: 'compare it with the printed code',
  },
};

const BAD_COPY: { readonly [Reason in Errors['BadCopy']['reason']]: Words } = {
  gone: { message: 'the daemon has discarded the copy; nothing was changed', hint: 'repeat the command' },
  not_whole: {
    message: 'the copy did not arrive as it was sent; nothing was changed',
    hint: 'repeat the command; if it fails again, the memory or the disk may be faulty',
  },
  foreign: {
    message: 'the file is not a copy of a store; nothing was changed',
    hint: 'cio credential backup makes such a copy; cio credential import reads an encrypted export',
  },
  newer: {
    message: 'the copy was made by a newer version; nothing was changed',
    hint: 'install that version of cio-credentiald first',
  },
  damaged: {
    message: 'the copy is damaged: part of it is missing, changed or added; nothing was changed',
    hint: 'use another copy; to recover what can still be read of this one: docs/disaster-recovery.md',
  },
  too_large: { message: 'the copy is larger than the daemon accepts; nothing was changed', hint: SEE_LOG },
};

const STORAGE_FAILED: { readonly [Reason in Errors['StorageFailed']['reason']]: Words } = {
  read_only: {
    message: 'the file system of the store is read-only; nothing was changed',
    hint: "make the daemon's state directory writable, and repeat the command",
  },
  changed_by_other: {
    message: 'another process changed the store; this command changed nothing',
    hint: `only one daemon may use the store; ${SEE_LOG}`,
  },
  io: { message: 'the store cannot be read or written', hint: SEE_LOG },
};

/** Stands in for the code of a system error that has none. */
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

/** Error codes that a connection fails with when the daemon closes it. */
const CLOSED_BY_PEER: ReadonlySet<string> = new Set([UNKNOWN, 'ECONNRESET', 'EPIPE']);

const START = 'start the daemon: systemctl start cio-credentiald.socket, or npm start in a checkout';

const CONNECTION_FAILED: { readonly [Reason in ConnectionFailure]: (socket: string, detail: string) => Words } = {
  not_found: (socket) => ({ message: `no daemon: there is no socket ${socket}`, hint: START }),
  refused: (socket) => ({ message: `no daemon: nothing listens on ${socket}`, hint: START }),
  permission: (socket) => ({
    message: `no access to the socket ${socket}`,
    hint: 'its mode or its folder keeps you out; run cio as root, or as a member of the group cio',
  }),
  path_too_long: (socket) => ({
    message: `the path of the socket has ${Buffer.byteLength(socket)} bytes, more than ${SOCKET_PATH_BYTES_MAX}`,
    hint: 'give the daemon a shorter --runtime-dir, and cio the same by CIO_RUNTIME_DIR or --socket',
  }),
  untrusted: (socket) => ({
    message: `the folder of ${socket} is not yours alone: whoever can write there could pose as the daemon`,
    hint: "the variable XDG_RUNTIME_DIR may be another user's; name a socket that you trust with --socket",
  }),
  timed_out: (socket) => ({
    message: `the daemon at ${socket} does not answer`,
    hint: "check the daemon's log, or restart it",
  }),
  closed: (socket, detail) => ({
    message: CLOSED_BY_PEER.has(detail)
      ? `the daemon at ${socket} closed the connection`
      : `the connection to ${socket} broke: ${detail}`,
    hint: SEE_LOG,
  }),
  bad_reply: (socket) => ({
    message: `the reply from ${socket} is not valid`,
    hint: 'is it the daemon, and of the same version as cio? See cio --version',
  }),
  rejected: (socket, detail) => ({
    message: `the daemon at ${socket} rejected this call (${detail})`,
    hint: 'its version may not be that of cio: compare cio --version with cio credential status; an upgrade restarts it',
  }),
  failed: (socket, detail) => ({ message: `cannot connect to ${socket}: ${detail}`, hint: START }),
};

function subject(name: string): string {
  return `${name.startsWith('cio_') ? 'credential ' : ''}${abbreviate(name)}`;
}
