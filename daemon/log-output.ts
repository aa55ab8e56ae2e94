import { writeSync } from 'node:fs';

const STDERR = 2;

/**
 * Writes the lines of the log to standard error. A line that cannot be written is no reason for the daemon not to
 * serve.
 */
export class LogOutput {
  #isWritable: (fd: number) => boolean = () => true;

  /** From now on, drops lines that would block because their reader (journald, a pager) may have stopped. */
  dropInsteadOfBlocking(isWritable: (fd: number) => boolean): void {
    this.#isWritable = isWritable;
  }

  /**
   * Writes synchronously, so that a line is out before the process ends. Ignores errors: a full disk, a reader that
   * left.
   */
  readonly write = (text: string): void => {
    try {
      if (this.#isWritable(STDERR)) writeSync(STDERR, text);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === undefined) throw error;
    }
  };
}
