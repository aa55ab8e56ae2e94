import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { CredentialError } from '../../../client/index.ts';
import { VERSIONS_KEPT } from '../../../src/limits.ts';
import { KIND, StoreError } from '../../../daemon/store/sealed-store.ts';
import { memoryDirectory } from '../../daemon/vault/memory-directory.ts';
import { STORE_FILE, TestVault } from '../../daemon/vault/open-vault.ts';
import { rowsOf } from '../../daemon/vault/raw-file.ts';
import type { Row } from '../../daemon/vault/raw-file.ts';
import type { Scope } from '../../support/scope.ts';
import { BenchScope } from '../../bench/bench-scope.ts';
import { JOURNAL_FILE } from './journal.ts';

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
  /** Whether it is the store as it was before the last commits of its journal: SQLite drops what follows a page that is not whole. */
  readonly isEarlier: boolean;
  /** Whether fsck finds anything. */
  readonly isNoticed: boolean;
  /** What is not named by an error of the interface, or of the store: a defect. */
  readonly defects: readonly string[];
}

const OLDER = 1;
const CURRENT = 2;
/** What only a journal has, and of which names: each is a commit of its own, in this order. */
const JOURNALED = 3;
const NAMES_JOURNALED = 4;

/** What lay in the file of a sample before. */
interface Past {
  /** Before the last change of each value. */
  readonly older: readonly Row[];
  /** Before the very last change, by which there are neither more rows nor fewer. */
  readonly beforeLast: readonly Row[];
}

/** A store with a few credentials, each in two versions, one in as many as are kept, and what must be in it. */
export class Sample {
  readonly directory: string;
  readonly past: Past;

  /** One that {@link make} has made. Copies are made beside it. */
  constructor(directory: string, past: Past = { older: [], beforeLast: [] }) {
    this.directory = directory;
    this.past = past;
  }

  static async make(scope: Scope): Promise<Sample> {
    const directory = path.join(memoryDirectory(scope), 'state');
    mkdirSync(directory);
    const opened = await TestVault.create(scope, directory);
    const save = (version: number, index: number): Promise<unknown> => {
      const name = NAMES[index] ?? '';
      return opened.save(name, textOf(name, version, index));
    };
    for (const index of NAMES.keys()) await save(OLDER, index);
    for (let kept = 1; kept < VERSIONS_KEPT; kept += 1) await save(OLDER, 0);
    const older = rowsOf(opened.path);
    for (const index of [...NAMES.keys()].slice(1)) await save(CURRENT, index);
    const beforeLast = rowsOf(opened.path);
    await save(CURRENT, 0);
    await opened.close();
    return new Sample(directory, { older, beforeLast });
  }

  /** Its files, as they are when no daemon runs. */
  get files(): Files {
    return { [STORE_FILE]: readFileSync(path.join(this.directory, STORE_FILE)) };
  }

  /** Writes values that only the journal has, and gives the files as a kill would leave them. */
  async filesWithJournal(): Promise<Files> {
    await using scope = new BenchScope();
    const copy = this.#copy(scope, {});
    const opened = await TestVault.open(scope, copy);
    for (const [index, name] of NAMES.slice(0, NAMES_JOURNALED).entries()) {
      await opened.save(name, textOf(name, JOURNALED, index));
    }
    const names = [STORE_FILE, JOURNAL_FILE];
    return Object.fromEntries(names.map((name) => [name, readFileSync(path.join(copy, name))]));
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
    const last = JOURNAL_FILE in files ? NAMES_JOURNALED : 0;
    const before = last > 0 ? CURRENT : OLDER;
    const versions: (number | undefined)[] = [];
    for (const [index, name] of NAMES.entries()) {
      try {
        const value = opened.value(name);
        const version = [OLDER, CURRENT, JOURNALED].find((one) => value === textOf(name, one, index));
        versions[index] = version;
        if (version === versionAfter(last, index)) look.right += 1;
        else if (version === before) look.older += 1;
        else if (value !== undefined) look.wrong.push(`${name} has another value`);
        else if (hasRecord(opened, name)) look.wrong.push(`${name} is said not to be there, though its record is`);
        else look.refused += 1;
      } catch (error) {
        if (isNamed(error)) look.refused += 1;
        else look.defects.push(`${name}: ${describe(error)}`);
      }
    }
    const isEarlier = [...Array(last).keys()].some((commits) =>
      NAMES.every((_, index) => versions[index] === versionAfter(commits, index)),
    );
    let isNoticed = true;
    try {
      isNoticed = (await opened.fsck()).problems.length > 0;
    } catch (error) {
      if (!isNamed(error)) look.defects.push(`fsck: ${describe(error)}`);
    }
    if (!isNoticed && !isEarlier && look.right < NAMES.length) {
      look.wrong.push(`fsck finds nothing, though ${NAMES.length - look.right} values are not what they were`);
    }
    return { ...look, isEarlier, isNoticed, closedBecause: undefined };
  }

  #copy(scope: Scope, files: Files): string {
    const copy = mkdtempSync(path.join(path.dirname(this.directory), 'copy-'));
    scope.after(() => rmSync(copy, { recursive: true }));
    cpSync(this.directory, copy, { recursive: true });
    for (const [name, bytes] of Object.entries(files)) writeFileSync(path.join(copy, name), bytes, { mode: 0o600 });
    return copy;
  }
}

/** Tells of a look at what was not damaged whether it is as it must be. */
export function isWhole({ closedBecause, right, isNoticed, defects }: Look): boolean {
  return closedBecause === undefined && right === NAMES.length && !isNoticed && defects.length === 0;
}

function nothing(closedBecause: string, defects: readonly string[]): Look {
  return {
    closedBecause,
    right: 0,
    refused: NAMES.length,
    wrong: [],
    older: 0,
    isEarlier: false,
    isNoticed: true,
    defects,
  };
}

/** What a name has after so many commits of the journal. */
function versionAfter(commits: number, index: number): number {
  return index < commits ? JOURNALED : CURRENT;
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
