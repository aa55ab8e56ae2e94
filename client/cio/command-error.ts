import { EXIT } from '../../src/errors.ts';

/** Exit codes of the command line that are not the daemon's doing: a shell's own (127, 126), and 128 + SIGINT. */
export const COMMAND_EXIT = { notExecutable: 126, notFound: 127, interrupted: 130 } as const;

/** What goes wrong on the command line's own side. */
export type CommandErrorCode =
  /** The command line is wrong. */
  | 'Usage'
  /** Ctrl-C at a prompt. */
  | 'Interrupted'
  /** The question was not answered with yes. */
  | 'NotConfirmed'
  /** No value came where one was asked for. */
  | 'NoValue'
  /** What came from a file, the environment or a terminal cannot be what it is for. */
  | 'InvalidInput'
  /** What was given does not open the file of age. */
  | 'WrongKey'
  | 'ReadFailed'
  | 'WriteFailed'
  /** What was to be written is there already. */
  | 'FileExists'
  /** What is there does not fit into the form that was asked for. */
  | 'NotInForm'
  /** Another program that is needed. */
  | 'HelperFailed'
  /** The command of `exec`. */
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
  HelperFailed: EXIT.failed,
  CommandNotFound: COMMAND_EXIT.notFound,
  CommandNotExecutable: COMMAND_EXIT.notExecutable,
};

/** An error with its own message: no full stop, no secret, and nothing of an argument that may be one. */
export class CommandError extends Error {
  readonly code: CommandErrorCode;
  readonly exit: number;
  readonly hint: string | undefined;

  /** Compares by name: parts of the client that are built into files of their own have a copy of this class each. */
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

/** An error in the words of one command: its code, its fields and the exit code stay as they are. */
export class RewordedError extends Error {
  readonly words: { readonly message?: string; readonly hint?: string };

  /** By its name, see {@link CommandError}. */
  static override [Symbol.hasInstance](value: unknown): value is RewordedError {
    return Error[Symbol.hasInstance](value) && (value as Error).name === 'RewordedError';
  }

  constructor(cause: unknown, words: { readonly message?: string; readonly hint?: string }) {
    super(words.message, { cause });
    this.name = 'RewordedError';
    this.words = words;
  }
}

/** The command line is wrong. */
export function usageError(message: string, hint?: string): CommandError {
  return new CommandError('Usage', message, hint);
}
