import { EXIT } from '../../src/errors.ts';

/** Exit codes that no error of the daemon leads to: those of a shell (127, 126), and 128 + SIGINT. */
export const COMMAND_EXIT = { notExecutable: 126, notFound: 127, interrupted: 130 } as const;

/** Codes of the errors that arise in the client itself. */
export type CommandErrorCode =
  /** The command line is wrong. */
  | 'Usage'
  /** Ctrl-C at a prompt. */
  | 'Interrupted'
  /** The user did not answer a question with yes. */
  | 'NotConfirmed'
  /** A value was asked for, and none was given. */
  | 'NoValue'
  /** Input from a file, the environment or a terminal is not valid for its purpose. */
  | 'InvalidInput'
  /** The given passphrase or identities do not decrypt the age file. */
  | 'WrongKey'
  | 'ReadFailed'
  | 'WriteFailed'
  /** The file to be written already exists. */
  | 'FileExists'
  /** A stored value or set cannot be put into the requested form. */
  | 'NotInForm'
  /** Another program failed, such as the editor, or the kernel gave no pseudoterminal to run one in. */
  | 'ProgramFailed'
  /** The command of `exec`, or the editor, is not in PATH. */
  | 'CommandNotFound'
  | 'CommandNotExecutable';

const EXIT_OF_CODE: { readonly [Code in CommandErrorCode]: number } = {
  Usage: EXIT.usage,
  Interrupted: COMMAND_EXIT.interrupted,
  NotConfirmed: EXIT.failed,
  NoValue: EXIT.invalid,
  InvalidInput: EXIT.invalid,
  WrongKey: EXIT.accessDenied,
  ReadFailed: EXIT.failed,
  WriteFailed: EXIT.failed,
  FileExists: EXIT.alreadyExists,
  NotInForm: EXIT.invalid,
  ProgramFailed: EXIT.failed,
  CommandNotFound: COMMAND_EXIT.notFound,
  CommandNotExecutable: COMMAND_EXIT.notExecutable,
};

/** An error with its own message, which has no full stop, no secret, and no part of an argument that may be one. */
export class CommandError extends Error {
  readonly code: CommandErrorCode;
  readonly exit: number;
  readonly hint: string | undefined;

  /** Compares by name, as each part of the client that is bundled into a file of its own has a copy of this class. */
  static override [Symbol.hasInstance](value: unknown): value is CommandError {
    return Error[Symbol.hasInstance](value) && (value as Error).name === 'CommandError';
  }

  constructor(code: CommandErrorCode, message: string, hint?: string) {
    super(message);
    this.name = 'CommandError';
    this.code = code;
    this.exit = EXIT_OF_CODE[code];
    this.hint = hint;
  }
}

/** Wraps an error to give it another message or hint. Its code, its fields and its exit code stay. */
export class RewordedError extends Error {
  readonly words: { readonly message?: string; readonly hint?: string };

  /** Compares by name, see {@link CommandError}. */
  static override [Symbol.hasInstance](value: unknown): value is RewordedError {
    return Error[Symbol.hasInstance](value) && (value as Error).name === 'RewordedError';
  }

  constructor(cause: unknown, words: { readonly message?: string; readonly hint?: string }) {
    super(words.message, { cause });
    this.name = 'RewordedError';
    this.words = words;
  }
}

/** Returns an error for a wrong command line. */
export function usageError(message: string, hint?: string): CommandError {
  return new CommandError('Usage', message, hint);
}
