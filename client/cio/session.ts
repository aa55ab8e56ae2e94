import type { CredentialClient } from '../client.ts';
import { connectBy } from '../connect.ts';
import { GREEN, paint, RED, YELLOW } from './colours.ts';
import { CommandError } from './command-error.ts';
import { isWritten, ReaderGone, STDERR, STDOUT, writeAll } from './file-descriptors.ts';
import { openPipeTransport } from './pipe-transport.ts';
import { NO_PROGRESS, startProgress, type Progress } from './progress.ts';
import { Prompter } from './prompter.ts';
import { isColoured, isTerminal } from './terminal.ts';
import { printable, printableJson } from './text.ts';

/** The global options that concern a run. */
export interface Globals {
  readonly isJson: boolean;
  readonly socket: string | undefined;
  /** The group is called as pxctl calls its own: what is said has Portworx's words. */
  readonly isPortworx?: true;
}

/** What a command works with: the daemon, the person at the terminal, and the three standard streams. */
export class Session {
  readonly isJson: boolean;
  /** What is told is told in Portworx's words, see {@link Globals.isPortworx}. */
  readonly isPortworx: boolean;
  readonly prompter: Prompter = new Prompter();
  /** Whoever read standard output has gone. What a command does goes on all the same, and gives its exit code. */
  isUnread = false;
  /** The path that the command line names; undefined where it names none. */
  readonly socket: string | undefined;
  #progress: Progress = NO_PROGRESS;

  constructor({ isJson, isPortworx, socket }: Globals) {
    this.isJson = isJson;
    this.isPortworx = isPortworx === true;
    this.socket = socket;
  }

  /** Connects to the daemon; the caller closes. */
  connect(timeoutMs?: number): Promise<CredentialClient> {
    return connectBy(openPipeTransport, { socket: this.socket, timeoutMs });
  }

  /** Makes one connection for some calls. */
  async withClient<Result>(use: (client: CredentialClient) => Promise<Result>, timeoutMs?: number): Promise<Result> {
    const client = await this.connect(timeoutMs);
    try {
      return await use(client);
    } finally {
      client.close();
    }
  }

  /**
   * Begins to show on a terminal what takes so long; nothing with `--json`. Whatever this session writes goes above it.
   *
   * @example using progress = session.progress('Sealing every record anew');
   */
  progress(what: string): Progress {
    this.#progress = this.isJson ? NO_PROGRESS : startProgress(what);
    return this.#progress;
  }

  /** The product of a command, on standard output: a document with `--json`, else text. */
  print(document: unknown, text: () => string): void {
    if (this.isJson) this.printDocument(document);
    else this.printRaw(text());
  }

  /** One document for programs, in a line of its own. */
  printDocument(document: unknown): void {
    this.printRaw(`${printableJson(document)}\n`);
  }

  /** The product of a command, as it is, with `--json` too. */
  printRaw(content: Uint8Array | string): void {
    this.#progress.clear();
    try {
      writeAll(STDOUT, content);
    } catch (error) {
      if (!(error instanceof ReaderGone)) throw error;
      this.isUnread = true;
    }
  }

  /**
   * The same for what is of no use in part, or is never to be had again: a reader that has gone is a failure.
   *
   * @throws CommandError `WriteFailed`
   */
  deliver(content: Uint8Array | string): void {
    this.printRaw(content);
    if (this.isUnread) throw new CommandError('WriteFailed', 'whoever was to read standard output has gone');
  }

  /** Tells of something done, in Storidge's words: `Succeed: Create credential: Credential NAME saved`. */
  succeed(document: unknown, operation: string, result: string): void {
    if (this.isJson) this.printDocument(document);
    else this.#tell(`${paint('Succeed:', GREEN, isColoured(STDERR))} ${operation}: ${printable(result)}\n`);
  }

  /** Tells of something done in the words that are given, where {@link Session.succeed} has Storidge's. */
  succeedAs(document: unknown, message: string): void {
    if (this.isJson) this.printDocument(document);
    else this.#tell(`${printable(message)}\n`);
  }

  /** Shows something to whoever sits at the terminal, and to no log: text that is printable already. */
  show(text: string): void {
    if (!this.isJson && isTerminal(STDERR)) this.#tell(text);
  }

  /** Tells of something that failed, where the command goes on. */
  fail(operation: string, result: string, hint?: string): void {
    if (!this.isJson) this.#tell(formatFailure(operation, result, hint));
  }

  /** Tells something that is no part of the product. */
  note(text: string): void {
    this.#tell(`${printable(text)}\n`);
  }

  /** Warns whoever sits at the terminal; a log is not warned. */
  warn(text: string): void {
    if (isTerminal(STDERR)) this.#tell(`${paint('Warning:', YELLOW, isColoured(STDERR))} ${printable(text)}\n`);
  }

  #tell(text: string): void {
    this.#progress.clear();
    if (!isWritten(STDERR, text) && this.prompter.canAsk) this.prompter.untold += text;
  }
}

/** The form of an error on standard error. */
export function formatFailure(operation: string | undefined, message: string, hint: string | undefined): string {
  const what = operation === undefined ? '' : `${operation}: `;
  return `${paint('Failed:', RED, isColoured(STDERR))} ${what}${printable(message)}\n${hint === undefined ? '' : `Hint: ${printable(hint)}\n`}`;
}
