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
  notFound: 'The command of exec was not found. If it is run, exec ends with its exit status.',
  interrupted: 'Ctrl-C at a question, or a signal while a recovery code was made.',
};

/** The environment variables that `cio credential` itself reads. */
const CLIENT_VARIABLES: Readonly<Record<string, string>> = {
  CIO_CREDENTIAL_SOCKET: "The daemon's socket, if --socket is not given.",
  CIO_RUNTIME_DIR: 'Where the sockets are; the same as for cio-credentiald(8).',
  CIO_STATE_DIR: 'Where the store is; without a runtime directory, the sockets are in its folder run.',
  XDG_RUNTIME_DIR:
    "Where a user's own daemon has its sockets, in a folder cio-credentiald; and where edit keeps its file, in memory.",
  XDG_STATE_HOME: "Where a user's own daemon has its store; ~/.local/state unless set.",
  HOME: 'The home directory, which ~ stands for.',
  XDG_CONFIG_HOME: 'Where import looks for the files of other tools; ~/.config unless set.',
  AWS_SHARED_CREDENTIALS_FILE:
    'With AWS_CONFIG_FILE, RCLONE_CONFIG and OS_CLIENT_CONFIG_FILE, where import looks for the files of these tools.',
  VISUAL: 'The editor of edit; if it is not set, EDITOR is used.',
  EDITOR: 'The editor of edit; if it is not set either, editor, nano or vi is used.',
  HTTPS_PROXY: 'The proxy that create --use-proxy stores, or else HTTP_PROXY.',
  PATH: 'Where exec looks for its command.',
  NO_COLOR: 'If it is set and not empty, output has no colours (https://no-color.org).',
  LC_ALL: 'Or else LC_CTYPE, or else LANG. If it is set to a locale without UTF-8, marks and QR codes are ASCII only.',
  TERM: 'If it is dumb, output has no colours, and no line is overwritten.',
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

/** Renders the usage line: words to be typed as they are in bold, placeholders in italics. */
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

/** Lists the words that an argument accepts, unless its description names them already. */
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
