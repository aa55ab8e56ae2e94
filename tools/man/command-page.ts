import { shownOptions, usageOf } from '../../client/cio/arguments.ts';
import { COMMAND_EXIT } from '../../client/cio/command-error.ts';
import { GROUPS } from '../../client/cio/help.ts';
import { GLOBAL_OPTIONS, type Command, type Completion, type Option, type Options } from '../../client/cio/command.ts';
import { EXIT } from '../../src/errors.ts';
import { renderItem, renderParagraphs, type Parts } from './prose.ts';
import { bold, escapeText, inline, italic, item, literal, paragraph, subsection } from './roff.ts';

const EXIT_MEANINGS: { readonly [Name in keyof typeof EXIT]: string } = {
  done: 'Done.',
  failed: 'Failed, for a reason that has no code of its own.',
  usage: 'The command line is wrong; nothing was done.',
  notFound: 'Not found, or a set is not complete.',
  alreadyExists: 'It exists already.',
  accessDenied: 'Access denied, or a wrong passphrase.',
  locked: 'The store is locked.',
  notReachable: 'The daemon cannot be reached.',
  invalid: 'A name or a value is not valid.',
  validationFailed: 'A set was tried out, and does not work.',
  damaged: 'A record of the store is damaged.',
};

const COMMAND_EXIT_MEANINGS: { readonly [Name in keyof typeof COMMAND_EXIT]: string } = {
  notExecutable: 'The command of exec cannot be run.',
  notFound: 'The command of exec is not there. What it ends with itself is passed on.',
  interrupted: 'Ctrl-C at a question, or a signal while a recovery code was made.',
};

/** What `cio credential` itself reads of its environment. */
const CLIENT_VARIABLES: Readonly<Record<string, string>> = {
  CIO_CREDENTIAL_SOCKET: "The daemon's socket, where --socket is not given.",
  CIO_RUNTIME_DIR: 'Where the sockets are; the same as for cio-credentiald(8).',
  CIO_STATE_DIR: 'Where the store is; without a runtime directory the sockets are in a folder run in it.',
  XDG_RUNTIME_DIR:
    "Where a user's own daemon has its sockets, in a folder cio-credentiald; and where edit has its file, in memory.",
  XDG_STATE_HOME: "Where a user's own daemon has its store; ~/.local/state unless set.",
  HOME: 'Whose ~ it is.',
  XDG_CONFIG_HOME: 'Where import looks for what other tools have; ~/.config unless set.',
  AWS_SHARED_CREDENTIALS_FILE:
    'With AWS_CONFIG_FILE, RCLONE_CONFIG and OS_CLIENT_CONFIG_FILE, where it looks for their files.',
  VISUAL: 'The editor of edit; else that of EDITOR.',
  EDITOR: 'The editor of edit; else editor, nano or vi.',
  HTTPS_PROXY: 'What create --use-proxy takes, or HTTP_PROXY.',
  PATH: 'Where exec looks for its command.',
  NO_COLOR: 'Where it is set and not empty, nothing is coloured (https://no-color.org).',
  LC_ALL: 'Else LC_CTYPE, else LANG. Where it is set, and is none of UTF-8, marks and QR codes are made of ASCII.',
  TERM: 'With dumb, nothing is coloured, and no line is written anew.',
};

/** The parts of cio-credential(1). */
export function commandParts(commands: readonly Command[]): Parts {
  const shown = commands.filter(({ isHidden }) => isHidden !== true);
  return {
    synopsis: shown
      .map((command) => `.br\n${usage(command)}\n`)
      .join('')
      .replace('.br', '.PP'),
    options: optionItems(GLOBAL_OPTIONS),
    commands: shown.map(renderCommand).join(''),
    exit: exitItems(),
    environment: Object.entries(CLIENT_VARIABLES)
      .map(([name, meaning]) => item(bold(name), inline(meaning)))
      .join(''),
  };
}

function renderCommand(command: Command): string {
  const { name, aliases = [], summary, details = '', positionals, examples } = command;
  return [
    subsection([name, ...aliases].join(', ')),
    paragraph(usage(command)),
    paragraph(inline(`${summary}.`)),
    renderParagraphs(details),
    ...Object.entries(positionals).map(([word, { describe, completes }]) =>
      renderItem(italic(word), `${describe}${choices(describe, completes)}`),
    ),
    optionItems(command.options),
    examples.length === 0 ? '' : paragraph('Examples:'),
    ...examples.map(([line, what]) => literal(what === '' ? [line] : [`# ${what}`, line])),
  ].join('');
}

/** The usage line: what is typed as it is in bold, what stands for something in italics. */
function usage(command: Command): string {
  const fixed = `cio credential ${command.name}`;
  const rest = usageOf(command).slice(fixed.length);
  return `${bold(fixed)}${rest.replaceAll(/[^\s[\].]+|[\s[\].]+/g, (part) => (/^[A-Z]/.test(part) ? italic(part) : escapeText(part)))}`;
}

function optionItems(options: Options): string {
  const shown = shownOptions(options);
  const groups = [...new Set(shown.map((name) => options[name]?.group))];
  return groups
    .map((group) => {
      const heading = group === undefined ? '' : paragraph(inline(GROUPS[group]));
      const names = shown.filter((name) => options[name]?.group === group);
      return heading + names.map((name) => optionItem(name, options[name])).join('');
    })
    .join('');
}

function optionItem(name: string, option: Option | undefined): string {
  const { short, value, describe = '', completes, multiple } = option ?? {};
  const words = [...(short === undefined ? [] : [bold(`-${short}`)]), bold(`--${name}`)].join(', ');
  const more = `${choices(describe, completes)}${multiple === true ? '; more than once for several' : ''}`;
  return renderItem(value === undefined ? words : `${words} ${italic(value)}`, `${describe}${more}`);
}

/** The words that can stand in a place, where its description does not name them. */
function choices(describe: string, completes: Completion | undefined): string {
  if (completes === undefined || typeof completes === 'string') return '';
  return completes.every((word) => describe.includes(word)) ? '' : `: ${completes.join(', ')}`;
}

function exitItems(): string {
  const own = Object.entries(EXIT).map(([name, code]) => [code, EXIT_MEANINGS[name as keyof typeof EXIT]] as const);
  const others = Object.entries(COMMAND_EXIT).map(
    ([name, code]) => [code, COMMAND_EXIT_MEANINGS[name as keyof typeof COMMAND_EXIT]] as const,
  );
  return [...own, ...others].map(([code, meaning]) => item(bold(`${code}`), inline(meaning))).join('');
}
