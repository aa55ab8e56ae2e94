import { writeSync } from 'node:fs';

const STDERR = 2;

/** Where the lines of the log go. What becomes of them there is no reason not to serve. */
export class LogOutput {
  #takesBytes: (fd: number) => boolean = () => true;

  /** From now on a line is dropped that would have to wait for its reader: journald, or a pager, may have stopped. */
  dropWhatWouldWait(takesBytes: (fd: number) => boolean): void {
    this.#takesBytes = takesBytes;
  }

  /** Writes at once, so that a line is out before the process ends, or not at all: the disk may be full, the reader gone. */
  readonly write = (text: string): void => {
    try {
      if (this.#takesBytes(STDERR)) writeSync(STDERR, text);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === undefined) throw error;
    }
  };
}
