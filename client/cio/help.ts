import yargs from 'yargs';
import { GLOBAL_OPTIONS, type Command, type OptionGroup, type Options } from './command.ts';

/** The headings of groups of options. */
export const GROUPS: { readonly [Group in OptionGroup]: string } = {
  set: 'A whole set:',
  fields: "A set's fields, as in pxctl:",
  s3: 'Fields for s3, aws and minio:',
  azure: 'Fields for azure:',
  google: 'Fields for google:',
};

/** Longer lines are hard to read. */
const WIDTH_MAX = 110;

/** What the line of an example has besides its words: two columns before them, and a backslash behind them. */
const FOLD_COLUMNS = 4;

/** A request for help. */
export interface HelpRequest {
  /** The command, or undefined for all commands whose names begin with `words`. */
  readonly command: Command | undefined;
  readonly words: readonly string[];
  readonly commands: readonly Command[];
  /** The usage line of the command. */
  readonly usage: string | undefined;
  /** Columns of the terminal. */
  readonly width: number;
}

/**
 * Returns the help for one command, or for several, made by yargs from the table of commands. Loading yargs takes
 * longer than a whole call of the daemon, so this file is loaded only when help is asked for.
 */
export async function renderHelp(request: HelpRequest): Promise<string> {
  const { command, words, commands, usage, width } = request;
  const columns = Math.min(width, WIDTH_MAX);
  const parser = yargs([]).locale('en').version(false).help(false).wrap(columns);
  const group = ['cio credential', ...words].join(' ');
  parser.scriptName('').usage(command === undefined ? overview(group) : `${usage}\n\n${describe(command)}`);
  if (command === undefined) {
    for (const each of commands) {
      if (each.isHidden === true || !words.every((word, index) => each.name.split(' ')[index] === word)) continue;
      parser.command(namesBehind(words, each), each.summary);
    }
  }
  for (const [name, positional] of Object.entries(command?.positionals ?? {})) {
    parser.positional(name, { describe: positional.describe });
  }
  for (const [name, { short, value, describe, group, isHidden }] of Object.entries({
    ...command?.options,
    ...GLOBAL_OPTIONS,
  } as Options)) {
    if (isHidden === true) continue;
    // yargs has no place for the name of the value, so it is appended to the name of the option.
    parser.option(value === undefined ? name : `${name} ${value}`, {
      describe,
      ...(short !== undefined && { alias: short }),
      ...(group !== undefined && { group: GROUPS[group] }),
    });
  }
  if (command === undefined) {
    if (words.length === 0) parser.option('version', { alias: 'V', describe: 'Print the version' });
    parser.epilogue(`${group} COMMAND --help describes a command.`);
  }
  return `${await parser.getHelp()}\n${formatExamples(command?.examples ?? [], columns)}`;
}

/** Formats the examples so that they can be copied as they are: yargs would break them in a narrow column. */
function formatExamples(examples: Command['examples'], columns: number): string {
  if (examples.length === 0) return '';
  const lines = examples.flatMap(([line, what]) => [...(what === '' ? [] : [`# ${what}`]), fold(line, columns)]);
  return `\nExamples:\n${lines.map((line) => `  ${line}\n`).join('')}`;
}

/** Breaks a command line that is too long for the terminal, as a shell continues it on the next line. */
function fold(line: string, columns: number): string {
  return line.split(' ').reduce((text, word) => {
    const begun = text.length - (text.lastIndexOf('\n') + 1);
    const fits = begun + 1 + word.length + FOLD_COLUMNS <= columns;
    return `${text}${fits ? ' ' : ' \\\n    '}${word}`;
  });
}

function overview(group: string): string {
  return `${group} COMMAND\n\nKeeps the credentials of backups in one encrypted file, and hands them out.`;
}

function describe({ summary, details, aliases = [] }: Command): string {
  const others = aliases.length === 0 ? '' : `\nAlso: ${aliases.join(', ')}`;
  return `${summary}${others}${details === undefined ? '' : `\n\n${details}`}`;
}

/** Returns a command's name, and its one-word aliases, without the words of the group. */
function namesBehind(words: readonly string[], { name, aliases = [] }: Command): string[] {
  const [own = '', ...others] = [name, ...aliases].map((each) => each.split(' ').slice(words.length).join(' '));
  return [own, ...others.filter((other) => !other.includes(' '))];
}
