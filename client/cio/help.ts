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
  const parser = yargs([]).locale('en').version(false).help(false).wrap(Math.min(width, 110));
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
  for (const [line, what] of command?.examples ?? []) parser.example(line, what);
  if (command === undefined) parser.epilogue(`${group} COMMAND --help describes a command.`);
  return `${await parser.getHelp()}\n`;
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
