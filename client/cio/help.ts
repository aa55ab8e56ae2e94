import yargs from 'yargs';
import { GLOBAL_OPTIONS, type Command, type OptionGroup, type Options } from './command.ts';

/** The headings of options. */
export const GROUPS: { readonly [Group in OptionGroup]: string } = {
  set: 'A whole set:',
  fields: "A set's fields, as pxctl has them:",
  s3: 'Fields for s3, aws and minio:',
  azure: 'Fields for azure:',
  google: 'Fields for google:',
};

/** What help is asked for. */
export interface HelpRequest {
  /** The command, or undefined for all of those whose name begins with `words`. */
  readonly command: Command | undefined;
  readonly words: readonly string[];
  readonly commands: readonly Command[];
  /** The usage line of the command. */
  readonly usage: string | undefined;
  /** Columns of the terminal. */
  readonly width: number;
}

/**
 * The help for one command or for all, made by yargs from the table of commands. yargs costs more than a whole call of
 * the daemon: only those who ask for help load this file.
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
    // The value's name as part of the option's: yargs has no place for it.
    parser.option(value === undefined ? name : `${name} ${value}`, {
      describe,
      ...(short !== undefined && { alias: short }),
      ...(group !== undefined && { group: GROUPS[group] }),
    });
  }
  for (const [line, what] of command?.examples ?? []) parser.example(line, what);
  if (command === undefined) parser.epilogue(`${group} COMMAND --help tells more of a command.`);
  return `${await parser.getHelp()}\n`;
}

function overview(group: string): string {
  return `${group} COMMAND\n\nKeeps the credentials of backups in one encrypted file, and hands them out.`;
}

function describe({ summary, details, aliases = [] }: Command): string {
  const others = aliases.length === 0 ? '' : `\nAlso: ${aliases.join(', ')}`;
  return `${summary}${others}${details === undefined ? '' : `\n\n${details}`}`;
}

/** A command's name, and its aliases where they are one word, without the words of the group. */
function namesBehind(words: readonly string[], { name, aliases = [] }: Command): string[] {
  const [own = '', ...others] = [name, ...aliases].map((each) => each.split(' ').slice(words.length).join(' '));
  return [own, ...others.filter((other) => !other.includes(' '))];
}
