/** A text cannot be imported. The error may name a line and a key, but never contains a value. */
export class ImportError extends Error {
  /** The line, from 1; undefined if the error concerns the whole text. */
  readonly line: number | undefined;
  /** The name of the file concerned; undefined if there is only one, or if the error concerns all of them. */
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

/** A key is not known, but so similar to one that is that it is probably mistyped. */
export class MistypedKeyError extends ImportError {}
