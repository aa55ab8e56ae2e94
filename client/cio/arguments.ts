import { parseArgs } from 'node:util';
import { GLOBAL_OPTIONS, type Command, type Input, type Option, type Options } from './command.ts';
import { usageError } from './command-error.ts';
import type { GlobalOptions } from './session.ts';
import { formatCount } from './text.ts';
import { closest } from '../../src/closest.ts';

/** A parsed command line: the action that it asks for. */
export type Request =
  | { readonly kind: 'version' }
  /** `cio credential` without a command: an overview of how things stand. */
  | { readonly kind: 'overview'; readonly globals: GlobalOptions }
  /** Help for one command, or for all that begin with `words`. */
  | {
      readonly kind: 'help';
      readonly words: readonly string[];
      readonly command: Command | undefined;
      readonly isAsked: boolean;
    }
  | { readonly kind: 'run'; readonly command: Command; readonly input: Input; readonly globals: GlobalOptions };

/** pxctl's name for its group of the same commands. */
const PORTWORX_WORD = 'credentials';

/** The word that precedes all commands, and its other spellings. */
export const GROUP_WORDS: readonly string[] = ['credential', PORTWORX_WORD, 'cred'];

/** pxctl's one-letter names of its commands; valid after its group name and after `cred`, which pxctl also has. */
const PORTWORX_LETTERS: ReadonlyMap<string, string> = new Map([
  ['c', 'create'],
  ['l', 'list'],
  ['d', 'remove'],
  ['v', 'validate'],
]);

/** What other secret stores (pass, gopass, vault) call some of the commands. */
const FOREIGN_WORDS: ReadonlyMap<string, string> = new Map([
  ['insert', 'create'],
  ['put', 'create'],
  ['set', 'create'],
  ['write', 'create'],
  ['show', 'get'],
  ['read', 'get'],
]);

/** One token of the command line. An argument may be a secret typed in the wrong place, so no message repeats one. */
type Token =
  | {
      readonly kind: 'option';
      readonly name: string;
      readonly index: number;
      readonly value: string | undefined;
      readonly isInline: boolean;
    }
  | { readonly kind: 'positional'; readonly index: number; readonly value: string }
  | { readonly kind: 'terminator' };

/**
 * Parses the command line.
 *
 * @param argv the arguments, without the words `node` and `cio`
 * @throws CommandError `Usage`
 */
export function parseCommandLine(argv: readonly string[], commands: readonly Command[]): Request {
  const head = readHead(argv, commands);
  if (head.isVersion) return { kind: 'version' };
  const { command } = head;
  if (command === undefined && head.group !== undefined && head.words.length === 0 && !head.isHelp) {
    if (head.socket === '') throw usageError('--socket needs a path');
    return { kind: 'overview', globals: { isJson: head.isJson, socket: head.socket } };
  }
  if (command === undefined) return { kind: 'help', words: head.words, command, isAsked: head.isHelp };
  refuseClusters(argv.slice(head.length), head.length);
  const tokens = tokenize(argv.slice(head.length), head.length, { ...command.options, ...GLOBAL_OPTIONS });
  const ours = tokens.slice(0, terminatorOf(tokens) ?? tokens.length);
  if (head.isHelp || ours.some((token) => token.kind === 'option' && token.name === 'help')) {
    return { kind: 'help', words: head.words, command, isAsked: true };
  }
  if (command.takesCommand === true && ours.length === tokens.length) throw missingCommand(command);
  const options = readOptions(command, ours);
  const globals = {
    isJson: head.isJson || options['json'] === true,
    socket: (options['socket'] as string) ?? head.socket,
    ...(head.group === PORTWORX_WORD && { isPortworx: true as const }),
  };
  if (globals.socket === '') throw usageError('--socket needs a path');
  const input = { options, ...readWords(command, tokens) };
  return { kind: 'run', command, globals, input: input as Input };
}

/** Tells whether a command line asks for JSON, so that an error in parsing it can be reported as JSON too. */
export function wantsJson(argv: readonly string[]): boolean {
  const end = argv.indexOf('--');
  return argv.slice(0, end === -1 ? undefined : end).some((word) => word === '--json' || word === '-j');
}

/** What precedes the arguments of the command. */
interface Head {
  /** The word of {@link GROUP_WORDS} that was given. */
  group: string | undefined;
  /** The words of the command's name. */
  readonly words: string[];
  command: Command | undefined;
  isHelp: boolean;
  isVersion: boolean;
  isJson: boolean;
  socket: string | undefined;
  /** How many arguments precede those of the command. */
  length: number;
}

/** Reads up to the command: `[OPTIONS] credential [OPTIONS] COMMAND`. */
function readHead(argv: readonly string[], commands: readonly Command[]): Head {
  const head: Head = {
    group: undefined,
    words: [],
    command: undefined,
    isHelp: false,
    isVersion: false,
    isJson: false,
    socket: undefined,
    length: 0,
  };
  while (head.length < argv.length && head.command === undefined) {
    const word = argv[head.length] ?? '';
    head.length += 1;
    if (word === '--help' || word === '-h' || (word === 'help' && head.words.length === 0)) head.isHelp = true;
    else if (word === '--version' || word === '-V') head.isVersion = true;
    else if (word === '--json' || word === '-j') head.isJson = true;
    else if (word.startsWith('--socket=')) head.socket = word.slice('--socket='.length);
    else if (word === '--socket') {
      const path = argv[head.length];
      if (path === undefined || path.startsWith('-')) throw usageError('--socket needs a path');
      head.socket = path;
      head.length += 1;
    } else if (word.startsWith('-')) throw unknownOption(word, head.length, Object.keys(GLOBAL_OPTIONS), 'cio');
    else if (head.group !== undefined) head.command = readCommandWord(word, head.group, head.words, commands);
    else if (GROUP_WORDS.includes(word)) head.group = word;
    else throw withoutGroup(word, commands);
  }
  return head;
}

/** Returns the error for a word that should be one of {@link GROUP_WORDS}. */
function withoutGroup(word: string, commands: readonly Command[]): Error {
  return usageError(
    `there is no such command${didYouMean(word, GROUP_WORDS)}`,
    commands.some(isNamed(word))
      ? `it needs the word credential: cio credential ${word}`
      : 'cio credential --help lists the commands',
  );
}

function isNamed(typed: string): (command: Command) => boolean {
  return ({ name, aliases = [] }) => name === typed || aliases.includes(typed);
}

/** Adds the next word of a command's name, and returns the command, or undefined if another word must follow. */
function readCommandWord(
  word: string,
  group: string,
  words: string[],
  commands: readonly Command[],
): Command | undefined {
  const letters = group === 'credential' || words.length > 0 ? undefined : PORTWORX_LETTERS;
  words.push(letters?.get(word) ?? word);
  const typed = words.join(' ');
  const command = commands.find(isNamed(typed));
  if (command !== undefined) return command;
  if (commands.some(({ name }) => name.startsWith(`${typed} `))) return undefined;
  words.pop();
  const place = words.length;
  const offered = commands
    .filter(({ isHidden }) => isHidden !== true)
    .flatMap(({ name, aliases = [] }) => [name, ...aliases])
    .filter((name) => words.every((before, index) => name.split(' ')[index] === before))
    .flatMap((name) => name.split(' ')[place] ?? []);
  const above = ['cio', 'credential', ...words].join(' ');
  throw usageError(`${above} has no such command${didYouMean(word, offered)}`, `${above} --help lists them`);
}

/**
 * Refuses short options combined in one word, as in `-jy`: a password that begins with a dash would be read as options,
 * and be lost.
 *
 * @throws CommandError `Usage`
 */
function refuseClusters(words: readonly string[], offset: number): void {
  const end = words.indexOf('--');
  const index = words.slice(0, end === -1 ? undefined : end).findIndex((word) => /^-[^-]./s.test(word));
  if (index === -1) return;
  const hint = 'a value that begins with - goes after --, or better on standard input';
  throw usageError(`argument ${offset + index + 1} begins with - but is not an option`, hint);
}

/**
 * Splits the arguments into tokens. `parseArgs` is not run in strict mode, as its messages quote the arguments;
 * {@link readOptions} finds the mistakes that it lets pass.
 */
function tokenize(argv: readonly string[], offset: number, options: Options): Token[] {
  const config = Object.fromEntries(
    Object.entries(options).map(([name, { type, short }]) => [
      name,
      { type: type === 'boolean' ? ('boolean' as const) : ('string' as const), ...(short !== undefined && { short }) },
    ]),
  );
  const parsed = parseArgs({ args: [...argv], options: config, strict: false, allowPositionals: true, tokens: true });
  return parsed.tokens.map((token): Token => {
    if (token.kind === 'option-terminator') return { kind: 'terminator' };
    const index = offset + token.index + 1;
    if (token.kind === 'positional') return { kind: 'positional', index, value: token.value };
    return { kind: 'option', name: token.name, index, value: token.value, isInline: token.inlineValue === true };
  });
}

function terminatorOf(tokens: readonly Token[]): number | undefined {
  const index = tokens.findIndex((token) => token.kind === 'terminator');
  return index === -1 ? undefined : index;
}

type OptionValues = Record<string, boolean | string | number | readonly (string | number)[] | undefined>;

function readOptions(command: Command, tokens: readonly Token[]): OptionValues {
  const known: Options = { ...command.options, ...GLOBAL_OPTIONS };
  const values: OptionValues = {};
  for (const [name, option] of Object.entries(known)) {
    values[name] = option.multiple === true ? [] : option.type === 'boolean' ? false : undefined;
  }
  const seen = new Set<string>();
  for (const token of tokens) {
    if (token.kind !== 'option') continue;
    const option = Object.hasOwn(known, token.name) ? known[token.name] : undefined;
    if (option === undefined) {
      throw unknownOption(token.name, token.index, shownOptions(known), `cio credential ${command.name}`);
    }
    if (option.multiple !== true && seen.has(token.name)) {
      const isList = option.value?.endsWith(',...') === true;
      throw usageError(
        `--${token.name} is given twice`,
        isList ? 'give several as one, with commas between' : undefined,
      );
    }
    seen.add(token.name);
    const value = readOption(token.name, option, token.value, token.isInline);
    const before = values[token.name];
    values[token.name] = Array.isArray(before) ? [...(before as string[]), value as string] : value;
  }
  return values;
}

/** Returns the names of the options that help and completion may show. */
export function shownOptions(options: Options): string[] {
  return Object.keys(options).filter((name) => options[name]?.isHidden !== true);
}

function readOption(
  name: string,
  option: Option,
  text: string | undefined,
  isInline: boolean,
): boolean | string | number {
  if (option.type === 'boolean') {
    if (text !== undefined) throw usageError(`--${name} takes no value`);
    return true;
  }
  const what = option.value ?? 'a value';
  if (text === undefined || text === '') throw usageError(`--${name} needs ${what}`);
  if (!isInline && text.startsWith('-') && text.length > 1) {
    throw usageError(`--${name} needs ${what}`, `if it begins with -, write --${name}=${what}`);
  }
  if (option.type === 'string') return text;
  if (!/^[1-9][0-9]{0,14}$/.test(text)) throw usageError(`--${name} needs a whole number above 0`);
  return Number(text);
}

interface Words {
  readonly positionals: Record<string, string | readonly string[] | undefined>;
  readonly rest: readonly string[];
}

function readWords(command: Command, tokens: readonly Token[]): Words {
  const end = command.takesCommand === true ? terminatorOf(tokens) : undefined;
  const words = wordsOf(tokens.slice(0, end));
  const rest = end === undefined ? [] : wordsOf(tokens.slice(end));
  if (command.takesCommand === true && rest.length === 0) throw missingCommand(command);
  const positionals: Words['positionals'] = {};
  for (const [name, { count }] of Object.entries(command.positionals)) {
    if ((count === 'one' || count === 'some') && words.length === 0) {
      throw usageError(`${name} is missing`, `usage: ${usageOf(command)}`);
    }
    positionals[name] = count === 'some' || count === 'any' ? words.splice(0) : words.shift();
  }
  if (words.length > 0) throw usageError(tooMany(command, words.length), `usage: ${usageOf(command)}`);
  return { positionals, rest };
}

function missingCommand(command: Command): Error {
  return usageError('the command is missing', `it goes after --, as in: ${command.examples[0]?.[0] ?? ''}`);
}

function wordsOf(tokens: readonly Token[]): string[] {
  return tokens.flatMap((token) => (token.kind === 'positional' ? [token.value] : []));
}

function tooMany(command: Command, extra: number): string {
  const most = Object.keys(command.positionals).length;
  const what = `${formatCount(extra, 'argument')} too many`;
  return most === 0 ? `${what}: it takes none` : what;
}

/** Returns the usage line of a command: `cio credential get NAME`. */
export function usageOf(command: Command): string {
  const words = Object.entries(command.positionals).map(([name, { count }]) => {
    const dots = count === 'some' || count === 'any' ? `${name}...` : name;
    return count === 'one' || count === 'some' ? dots : `[${dots}]`;
  });
  const rest = command.takesCommand === true ? ['--', 'COMMAND...'] : [];
  return ['cio credential', command.name, ...words, ...rest].join(' ');
}

/** @param place position of the argument, counted from 1 */
function unknownOption(name: string, place: number, known: readonly string[], commandLine: string): Error {
  // As in -----BEGIN PRIVATE KEY-----, whose first two dashes are already cut off.
  const hint = name.startsWith('---')
    ? 'a value that begins with - goes after --, or on standard input'
    : `${commandLine} --help shows its options`;
  const guess = closest(name.replace(/^-+/, ''), known);
  const guessed = guess === undefined ? '' : `; did you mean --${guess}?`;
  return usageError(`argument ${place} is not an option of ${commandLine}${guessed}`, hint);
}

function didYouMean(word: string, known: readonly string[]): string {
  const meant = FOREIGN_WORDS.get(word);
  const guess = meant !== undefined && known.includes(meant) ? meant : closest(word, known);
  return guess === undefined ? '' : `; did you mean ${guess}?`;
}
