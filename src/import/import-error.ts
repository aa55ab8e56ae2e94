/** A text cannot be read as what it should be. It names a line and a key; no value of the text is ever in it. */
export class ImportError extends Error {
  /** The line, from 1; undefined where it is about the whole text. */
  readonly line: number | undefined;
  /** Why, in lower case and without a full stop. */
  readonly reason: string;

  constructor(line: number | undefined, reason: string) {
    super(line === undefined ? reason : `line ${line}: ${reason}`);
    this.name = 'ImportError';
    this.line = line;
    this.reason = reason;
  }
}
