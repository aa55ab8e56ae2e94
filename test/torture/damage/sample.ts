import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { CredentialError } from '../../../client/index.ts';
import { KIND, StoreError } from '../../../daemon/store/sealed-store.ts';
import { memoryDirectory } from '../../daemon/vault/memory-directory.ts';
import { STORE_FILE, TestVault } from '../../daemon/vault/open-vault.ts';
import { rowsOf } from '../../daemon/vault/raw-file.ts';
import type { Row } from '../../daemon/vault/raw-file.ts';
import type { Scope } from '../../support/scope.ts';
import { BenchScope } from '../../bench/bench-scope.ts';

/** How many credentials there are. */
const NAMES = Array.from({ length: 12 }, (_, index) => `name-${index}`);

const LENGTHS = [1, 40, 900, 5000] as const;

/** Files of a state directory, by their names. */
export type Files = Readonly<Record<string, Buffer>>;

/** What is left of a store that was damaged. */
export interface Look {
  /** Undefined where it opens. */
  readonly closedBecause: string | undefined;
  /** Names that are answered with what they had, those that are refused by name, and those with anything else. */
  readonly right: number;
  readonly refused: number;
  readonly wrong: readonly string[];
  /** Names that are answered with what they had before the last change: a reader cannot tell, fsck must. */
  readonly older: number;
  /** Whether fsck finds anything. */
  readonly isNoticed: boolean;
  /** What is not named by an error of the interface, or of the store: a defect. */
  readonly defects: readonly string[];
}

/** A store with a few credentials, each in two versions, and what must be in it. */
export class Sample {
  readonly directory: string;
  readonly names: readonly string[] = NAMES;
  /** What lay in the file before the last change of each value. */
  olderRows: readonly Row[] = [];
  readonly #values: Map<string, string> = new Map();

  private constructor(directory: string) {
    this.directory = directory;
  }

  static async make(scope: Scope): Promise<Sample> {
    const sample = new Sample(memoryDirectory(scope));
    const opened = await TestVault.create(scope, sample.directory);
    for (const version of [1, 2]) {
      for (const [index, name] of NAMES.entries()) {
        const value = textOf(name, version, index);
        await opened.save(name, value);
        sample.#values.set(name, value);
      }
      if (version === 1) sample.olderRows = rowsOf(opened.path);
    }
    await opened.close();
    return sample;
  }

  /** Its files, as they are when no daemon runs. */
  get files(): Files {
    return { [STORE_FILE]: readFileSync(path.join(this.directory, STORE_FILE)) };
  }

  /** Writes a value, and gives the files as a kill would leave them, the journal with them. */
  async filesWithJournal(): Promise<Files> {
    await using scope = new BenchScope();
    const copy = this.#copy(scope, {});
    const opened = await TestVault.open(scope, copy);
    for (const name of NAMES.slice(0, 4)) await opened.save(name, this.valueOf(name));
    const names = [STORE_FILE, `${STORE_FILE}-wal`];
    return Object.fromEntries(names.map((name) => [name, readFileSync(path.join(copy, name))]));
  }

  valueOf(name: string): string {
    return this.#values.get(name) ?? '';
  }

  /** Opens a copy in which these files are other ones, and reads everything. */
  async look(files: Files, tamper: (storePath: string) => void = () => undefined): Promise<Look> {
    await using scope = new BenchScope();
    const directory = this.#copy(scope, files);
    tamper(path.join(directory, STORE_FILE));
    let opened: TestVault;
    try {
      opened = await TestVault.open(scope, directory);
    } catch (error) {
      return nothing(describe(error), isNamed(error) ? [] : [`opening: ${describe(error)}`]);
    }
    if (opened.vault.isLocked) return nothing('no slot opens it', []);
    const look = { right: 0, refused: 0, older: 0, wrong: [] as string[], defects: [] as string[] };
    for (const [index, name] of NAMES.entries()) {
      try {
        const value = opened.value(name);
        if (value === this.valueOf(name)) look.right += 1;
        else if (value === textOf(name, 1, index)) look.older += 1;
        else if (value !== undefined) look.wrong.push(`${name} has another value`);
        else if (hasRecord(opened, name)) look.wrong.push(`${name} is said not to be there, though its record is`);
        else look.refused += 1;
      } catch (error) {
        if (isNamed(error)) look.refused += 1;
        else look.defects.push(`${name}: ${describe(error)}`);
      }
    }
    let isNoticed = true;
    try {
      isNoticed = (await opened.fsck()).problems.length > 0;
    } catch (error) {
      if (!isNamed(error)) look.defects.push(`fsck: ${describe(error)}`);
    }
    if (!isNoticed && look.right < NAMES.length) {
      look.wrong.push(`fsck finds nothing, though ${NAMES.length - look.right} values are not what they were`);
    }
    return { ...look, isNoticed, closedBecause: undefined };
  }

  #copy(scope: Scope, files: Files): string {
    const copy = memoryDirectory(scope);
    cpSync(this.directory, copy, { recursive: true });
    for (const [name, bytes] of Object.entries(files)) writeFileSync(path.join(copy, name), bytes, { mode: 0o600 });
    return copy;
  }
}

function nothing(closedBecause: string, defects: readonly string[]): Look {
  return { closedBecause, right: 0, refused: NAMES.length, wrong: [], older: 0, isNoticed: true, defects };
}

/** What a name has in a version; of some lengths, and never the same twice. */
function textOf(name: string, version: number, index: number): string {
  return `${name} ${version} `.padEnd(LENGTHS[index % LENGTHS.length] ?? 1, 'x');
}

/** Tells whether something lies where the record of a name belongs, be it damaged. */
function hasRecord({ vault, store }: TestVault, name: string): boolean {
  return store.get(KIND.credential, vault.unlocked().sealing.credentialTag('system', name)) !== undefined;
}

/** Tells whether an error has a name that a caller, or the operator, is told. */
function isNamed(error: unknown): boolean {
  return error instanceof CredentialError || error instanceof StoreError;
}

function describe(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : 'not an error';
}
