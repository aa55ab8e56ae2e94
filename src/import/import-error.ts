/** A text cannot be read as what it should be. It names a line and a key; no value of the text is ever in it. */
export class ImportError extends Error {
  /** The line, from 1; undefined where it is about the whole text. */
  readonly line: number | undefined;
  /** Which of several texts, as it is shown; undefined where there is one, or it is about all of them. */
  readonly source: string | undefined;
  /** Why, in lower case and without a full stop. */
  readonly reason: string;

  constructor(line: number | undefined, reason: string, source?: string) {
    super(line === undefined ? reason : `line ${line}: ${reason}`);
    this.name = 'ImportError';
    this.line = line;
    this.source = source;
    this.reason = reason;
  }
}
