import type { CredentialClient } from '../client.ts';
import { connectBy } from '../connect.ts';
import { GREEN, paint, RED, YELLOW } from './colours.ts';
import { CommandError } from './command-error.ts';
import { tryWrite, BrokenPipeError, STDERR, STDOUT, writeAll } from './file-descriptors.ts';
import { openPipeTransport } from './pipe-transport.ts';
import { NO_PROGRESS, startProgress, type Progress } from './progress.ts';
import { Prompter } from './prompter.ts';
import { isColoured, isTerminal } from './terminal.ts';
import { printable, printableJson } from './text.ts';

/** The global options of one run. */
export interface GlobalOptions {
  readonly isJson: boolean;
  readonly socket: string | undefined;
  /** The group was given as `credentials`, as in pxctl: output uses Portworx's wording. */
  readonly isPortworx?: true;
}

/** The surroundings of a command: the daemon, the user at the terminal, and the three standard streams. */
export class Session {
  readonly isJson: boolean;
  /** Output uses Portworx's wording, see {@link GlobalOptions.isPortworx}. */
  readonly isPortworx: boolean;
  readonly prompter: Prompter = new Prompter();
  /** The reader of standard output has closed it. The command goes on all the same, and its exit code is its own. */
  isUnread = false;
  /** The path of the socket that the command line names, if any. */
  readonly socket: string | undefined;
  #progress: Progress = NO_PROGRESS;

  constructor({ isJson, isPortworx, socket }: GlobalOptions) {
    this.isJson = isJson;
    this.isPortworx = isPortworx === true;
    this.socket = socket;
  }

  /** Connects to the daemon; the caller closes the connection. */
  connect(timeoutMs?: number): Promise<CredentialClient> {
    return connectBy(openPipeTransport, { socket: this.socket, timeoutMs });
  }

  /** Opens a connection for some calls, and closes it after them. */
  async withClient<Result>(use: (client: CredentialClient) => Promise<Result>, timeoutMs?: number): Promise<Result> {
    const client = await this.connect(timeoutMs);
    try {
      return await use(client);
    } finally {
      client.close();
    }
  }

  /**
   * Starts a progress line on a terminal; none with `--json`. Other output of this session appears above it.
   *
   * @example using progress = session.progress('Sealing every record anew');
   */
  progress(what: string): Progress {
    this.#progress = this.isJson ? NO_PROGRESS : startProgress(what);
    return this.#progress;
  }

  /** Prints the result of a command to standard output: a document with `--json`, else text. */
  print(document: unknown, text: () => string): void {
    if (this.isJson) this.printDocument(document);
    else this.printRaw(text());
  }

  /** Prints one JSON document on a line of its own. */
  printDocument(document: unknown): void {
    this.printRaw(`${printableJson(document)}\n`);
  }

  /** Prints the result of a command as it is, with `--json` too. */
  printRaw(content: Uint8Array | string): void {
    this.#progress.clear();
    try {
      writeAll(STDOUT, content);
    } catch (error) {
      if (!(error instanceof BrokenPipeError)) throw error;
      this.isUnread = true;
    }
  }

  /**
   * Prints a result that is useless in part, or cannot be had again: it is a failure if the reader has gone.
   *
   * @throws CommandError `WriteFailed`
   */
  deliver(content: Uint8Array | string): void {
    this.printRaw(content);
    if (this.isUnread) throw new CommandError('WriteFailed', 'the reader of standard output has gone');
  }

  /** Reports success in Storidge's wording: `Succeed: Create credential: Credential NAME saved`. */
  succeed(document: unknown, operation: string, result: string): void {
    if (this.isJson) this.printDocument(document);
    else this.#tell(`${paint('Succeed:', GREEN, isColoured(STDERR))} ${operation}: ${printable(result)}\n`);
  }

  /** Reports success in the given words, where {@link Session.succeed} has Storidge's wording. */
  succeedAs(document: unknown, message: string): void {
    if (this.isJson) this.printDocument(document);
    else this.#tell(`${printable(message)}\n`);
  }

  /** Shows text, which must be printable already, if standard error is a terminal; a log does not get it. */
  show(text: string): void {
    if (!this.isJson && isTerminal(STDERR)) this.#tell(text);
  }

  /** Reports a failure after which the command goes on. */
  fail(operation: string, result: string, hint?: string): void {
    if (!this.isJson) this.#tell(formatFailure(operation, result, hint));
  }

  /** Writes a note that is not part of the result to standard error. */
  note(text: string): void {
    this.#tell(`${printable(text)}\n`);
  }

  /** Writes a warning if standard error is a terminal; a log does not get it. */
  warn(text: string): void {
    if (isTerminal(STDERR)) this.#tell(`${paint('Warning:', YELLOW, isColoured(STDERR))} ${printable(text)}\n`);
  }

  #tell(text: string): void {
    this.#progress.clear();
    if (!tryWrite(STDERR, text) && this.prompter.canAsk) this.prompter.unwritten += text;
  }
}

/** Formats an error for standard error. */
export function formatFailure(operation: string | undefined, message: string, hint: string | undefined): string {
  const what = operation === undefined ? '' : `${operation}: `;
  return `${paint('Failed:', RED, isColoured(STDERR))} ${what}${printable(message)}\n${hint === undefined ? '' : `Hint: ${printable(hint)}\n`}`;
}
