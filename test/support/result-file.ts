import { closeSync, existsSync, mkdirSync, openSync, unlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { UsageError } from './command-line.ts';

/**
 * The file for the results of a program that may run for an hour. Whether the file can be written is checked at the
 * start.
 */
export class ResultFile {
  readonly #file: string;

  private constructor(file: string) {
    this.#file = file;
  }

  /** @throws UsageError if the file cannot be written */
  static reserve(file: string): ResultFile {
    const folder = path.dirname(path.resolve(file));
    try {
      mkdirSync(folder, { recursive: true });
      const isNew = !existsSync(file);
      closeSync(openSync(file, 'a'));
      if (isNew) unlinkSync(file);
    } catch {
      throw new UsageError(`${file} cannot be written: name another one by --json`);
    }
    return new ResultFile(file);
  }

  write(value: unknown): void {
    writeFileSync(this.#file, `${JSON.stringify(value, undefined, 2)}\n`);
  }
}
