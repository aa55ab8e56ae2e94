import type { Errors } from './protocol/interface.generated.ts';

/** Name of an operating error: one that a caller can expect and handle. */
export type ErrorCode = keyof Errors;

/** The exit codes of `cio`. Besides these, it exits with those of a command that it runs, and with 126, 127 or 130. */
export const EXIT = {
  done: 0,
  failed: 1,
  usage: 2,
  notFound: 3,
  alreadyExists: 4,
  accessDenied: 5,
  locked: 6,
  notReachable: 7,
  invalid: 8,
  validationFailed: 9,
  damaged: 10,
} as const;

/** One of the values of {@link EXIT}. */
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/**
 * The only table of operating errors: wire name (under `io.cio.Credentials.`) to exit code. A new line requires a new
 * error in the interface file and a message in the client.
 */
export const EXIT_OF_ERROR: { readonly [Code in ErrorCode]: ExitCode } = {
  NotFound: EXIT.notFound,
  AlreadyExists: EXIT.alreadyExists,
  InvalidName: EXIT.invalid,
  InvalidValue: EXIT.invalid,
  AccessDenied: EXIT.accessDenied,
  Incomplete: EXIT.notFound,
  Conflict: EXIT.failed,
  Locked: EXIT.locked,
  UnlockFailed: EXIT.accessDenied,
  LastSlot: EXIT.failed,
  TooLarge: EXIT.invalid,
  StorageFull: EXIT.failed,
  StorageFailed: EXIT.failed,
  Damaged: EXIT.damaged,
  OutOfMemory: EXIT.failed,
  BadCopy: EXIT.invalid,
  Busy: EXIT.failed,
  TimedOut: EXIT.failed,
  MalformedMessage: EXIT.invalid,
  InternalError: EXIT.failed,
};

/**
 * An operating error, with the fields of its wire form. No field ever holds a secret or unparsed input.
 *
 * @example throw new CredentialError('NotFound', { name: 'cio_aws_access_key' });
 */
export class CredentialError<Code extends ErrorCode = ErrorCode> extends Error {
  readonly code: Code;
  readonly fields: Errors[Code];

  /** Compares by name, as each bundle of the built client contains a copy of this class. */
  static override [Symbol.hasInstance](value: unknown): value is CredentialError {
    return Error[Symbol.hasInstance](value) && (value as Error).name === 'CredentialError';
  }

  /** @param options the `cause` is for the log of the process that throws; it is never sent to a caller */
  constructor(code: Code, fields: Errors[Code], options?: ErrorOptions) {
    super(code, options);
    this.name = 'CredentialError';
    this.code = code;
    this.fields = fields;
  }
}

/**
 * Tells whether `error` is an operating error with this code.
 *
 * @example if (isCredentialError(error, 'NotFound')) console.error(`there is no ${error.fields.name}`);
 */
export function isCredentialError<Code extends ErrorCode>(error: unknown, code: Code): error is CredentialError<Code> {
  return error instanceof CredentialError && error.code === code;
}
