import type { Session } from './session.ts';

/** What a shell offers in a place of the command line; never a secret. `new`: what sets lack, and names of providers. */
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

/** One word that a command takes by its place. */
export interface Positional {
  readonly describe: string;
  /** `some` is one or more, `any` is none or more; both only in the last place. */
  readonly count: 'one' | 'optional' | 'some' | 'any';
  readonly completes?: Completion;
}

/** The options of one heading in the help of a command that has many. */
export type OptionGroup = 'set' | 'fields' | 's3' | 'azure' | 'google';

/** One option. Without `multiple`, giving it twice is an error. */
export interface Option {
  readonly type: 'boolean' | 'string' | 'integer';
  readonly describe: string;
  readonly short?: string;
  /** What the value is called in the help. */
  readonly value?: string;
  readonly multiple?: boolean;
  readonly completes?: Completion;
  /** Under which heading it is in the help; without, among those that come last. */
  readonly group?: OptionGroup;
  /** Known only to be refused with a reason: neither in the help nor offered by a shell. */
  readonly isHidden?: true;
}

/** Positionals in the order of the command line, by the name that the help gives them. */
export type Positionals = { readonly [name: string]: Positional };
export type Options = { readonly [name: string]: Option };

/** What every command takes besides its own options. */
export const GLOBAL_OPTIONS = {
  json: { type: 'boolean', short: 'j', describe: 'Print one JSON document on standard output' },
  socket: { type: 'string', value: 'PATH', describe: "The daemon's socket", completes: 'file' },
  help: { type: 'boolean', short: 'h', describe: 'Show this help' },
} as const;

/** Whose credentials are meant; for the commands whose method has an owner. */
export const OWNER_OPTION = {
  owner: {
    type: 'string',
    value: 'USER|UID',
    describe: 'Whose credentials are meant; 0 for the shared ones',
    completes: 'user',
  },
} as const;

/** For the commands that ask before they do something that cannot be undone. */
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
  /** What stands behind `--`, for the commands that take another command there. */
  readonly rest: readonly string[];
}

interface CommandData<P extends Positionals, O extends Options> {
  /** The words behind `cio credential`: one, or two as in `slot add`. */
  readonly name: string;
  readonly aliases?: readonly string[];
  /** What is done, as a message names it: `Create credential`. */
  readonly operation: string;
  readonly summary: string;
  /** More for the command's own help. */
  readonly details?: string;
  readonly positionals: P;
  readonly options: O;
  readonly examples: readonly (readonly [commandLine: string, what: string])[];
  /** Takes another command behind `--`. */
  readonly takesCommand?: true;
  /** Not in the help. */
  readonly isHidden?: true;
  /** Arguments to calls to output. Gives the exit code. */
  run(input: Input<P, O>, session: Session): Promise<number>;
}

/** One command: all that parsing, help and completion need to know of it, and what it does. */
export type Command = CommandData<Positionals, Options>;

/** Checks that a command's code fits its data, and forgets the particulars. */
export function defineCommand<const P extends Positionals, const O extends Options>(data: CommandData<P, O>): Command {
  return data;
}
