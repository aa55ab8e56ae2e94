import type { Session } from './session.ts';

/**
 * What shell completion offers at a place of the command line; never a secret. `new` stands for the fields that sets
 * lack and for the names of the providers.
 */
export type Completion =
  | 'credential'
  | 'set'
  | 'target'
  | 'new'
  | 'file'
  | 'user'
  | 'group'
  | 'unit'
  | 'slot'
  | readonly string[];

/** A positional argument of a command. */
export interface Positional {
  readonly describe: string;
  /** `some` is one or more, `any` is none or more; both only in the last place. */
  readonly count: 'one' | 'optional' | 'some' | 'any';
  readonly completes?: Completion;
}

/** Identifies a heading under which the help of a command with many options lists some of them. */
export type OptionGroup = 'set' | 'fields' | 's3' | 'azure' | 'google';

/** One option. Without `multiple`, giving it twice is an error. */
export interface Option {
  readonly type: 'boolean' | 'string' | 'integer';
  readonly describe: string;
  readonly short?: string;
  /** Name of the value in the help. */
  readonly value?: string;
  readonly multiple?: boolean;
  readonly completes?: Completion;
  /** The heading that lists the option in the help; options without one come last. */
  readonly group?: OptionGroup;
  /** Accepted by the parser only so that it can be refused with a reason; neither the help nor completion shows it. */
  readonly isHidden?: true;
}

/** Positionals in the order of the command line, by the name that the help gives them. */
export type Positionals = { readonly [name: string]: Positional };
export type Options = { readonly [name: string]: Option };

/** The options that every command takes besides its own. */
export const GLOBAL_OPTIONS = {
  json: { type: 'boolean', short: 'j', describe: 'Print one JSON document on standard output' },
  socket: { type: 'string', value: 'PATH', describe: "The daemon's socket", completes: 'file' },
  help: { type: 'boolean', short: 'h', describe: 'Show this help' },
} as const;

/** Selects whose credentials are meant; for the commands whose Varlink method has a parameter `owner`. */
export const OWNER_OPTION = {
  owner: {
    type: 'string',
    value: 'USER|UID',
    describe: 'Whose credentials are meant; 0 for the shared ones',
    completes: 'user',
  },
} as const;

/** Skips the confirmation, in commands that ask before they do something that cannot be undone. */
export const YES_OPTION = {
  yes: { type: 'boolean', short: 'y', describe: 'Do not ask' },
} as const;

type PositionalValue<P extends Positional> = P['count'] extends 'one'
  ? string
  : P['count'] extends 'optional'
    ? string | undefined
    : readonly string[];

type OptionScalar<O extends Option> = O['type'] extends 'boolean'
  ? boolean
  : O['type'] extends 'integer'
    ? number
    : string;

type OptionValue<O extends Option> = O extends { readonly multiple: true }
  ? readonly OptionScalar<O>[]
  : O['type'] extends 'boolean'
    ? boolean
    : OptionScalar<O> | undefined;

/** The parsed command line of one command. */
export interface Input<P extends Positionals = Positionals, O extends Options = Options> {
  readonly positionals: { readonly [Name in keyof P]: PositionalValue<P[Name]> };
  readonly options: { readonly [Name in keyof O]: OptionValue<O[Name]> };
  /** The words after `--`, for the commands that take another command there. */
  readonly rest: readonly string[];
}

interface CommandData<P extends Positionals, O extends Options> {
  /** The words after `cio credential`: one, or two as in `slot add`. */
  readonly name: string;
  readonly aliases?: readonly string[];
  /** The name of the operation in messages: `Create credential`. */
  readonly operation: string;
  readonly summary: string;
  /** More text for the command's own help. */
  readonly details?: string;
  readonly positionals: P;
  readonly options: O;
  readonly examples: readonly (readonly [commandLine: string, what: string])[];
  /** The command takes another command after `--`. */
  readonly takesCommand?: true;
  /** Not shown in the help. */
  readonly isHidden?: true;
  /** Runs the command: arguments to calls to output. Returns the exit code. */
  run(input: Input<P, O>, session: Session): Promise<number>;
}

/** A command: all that parsing, help and completion need to know about it, and the code that runs it. */
export type Command = CommandData<Positionals, Options>;

/** Has the compiler check a command's code against its arguments, and returns it without their particular types. */
export function defineCommand<const P extends Positionals, const O extends Options>(data: CommandData<P, O>): Command {
  return data;
}
