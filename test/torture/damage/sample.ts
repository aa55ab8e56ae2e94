import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { CredentialError } from '../../../client/index.ts';
import { VERSIONS_KEPT } from '../../../daemon/methods/save-version.ts';
import { KIND, StoreError } from '../../../daemon/store/sealed-store.ts';
import { memoryDirectory } from '../../daemon/vault/memory-directory.ts';
import { STORE_FILE, TestVault } from '../../daemon/vault/open-vault.ts';
import { rowsOf } from '../../daemon/vault/raw-file.ts';
import type { Row } from '../../daemon/vault/raw-file.ts';
import type { Scope } from '../../support/scope.ts';
import { BenchScope } from '../../bench/bench-scope.ts';
import { WAL_FILE } from './wal.ts';

/** The names of the credentials. */
const NAMES = Array.from({ length: 12 }, (_, index) => `name-${index}`);

const LENGTHS = [1, 40, 900, 5000] as const;

/** Files of a state directory, by name. */
export type Files = Readonly<Record<string, Buffer>>;

/** The readable content of a damaged store. */
export interface Look {
  /** Why the store does not open; undefined if it does. */
  readonly closedBecause: string | undefined;
  /**
   * The number of names answered with the right value, of those refused with a named error, and those with any other
   * answer.
   */
  readonly right: number;
  readonly refused: number;
  readonly wrong: readonly string[];
  /**
   * The number of names answered with the value before the last change, which a reader cannot notice, but fsck must.
   */
  readonly older: number;
  /**
   * Whether the store is as before the last commit in its WAL, which a crash may have interrupted: damage before it is
   * refused.
   */
  readonly isEarlier: boolean;
  /** Whether fsck finds anything. */
  readonly isNoticed: boolean;
  /** Errors that are neither of the interface nor of the store: defects. */
  readonly defects: readonly string[];
}

const OLDER = 1;
const CURRENT = 2;
/**
 * The version that is only in the WAL, and the number of names that have it: each is a commit of its own, in this
 * order.
 */
const ONLY_IN_WAL = 3;
const NAMES_IN_WAL = 4;

/** Rows from earlier states of a sample. */
interface Past {
  /** Before the last change of each value. */
  readonly older: readonly Row[];
  /** Before the very last change, which left the number of rows as it was. */
  readonly beforeLast: readonly Row[];
}

/** A store with some credentials in two versions each, and one in as many as are kept; knows the right values. */
export class Sample {
  readonly directory: string;
  readonly past: Past;

  /** @param directory a store that {@link make} has made; copies are made next to it */
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

  /** The files when no daemon runs. */
  get files(): Files {
    return { [STORE_FILE]: readFileSync(path.join(this.directory, STORE_FILE)) };
  }

  /** Writes values that are only in the WAL, and returns the files as a kill would leave them. */
  async filesWithWal(): Promise<Files> {
    await using scope = new BenchScope();
    const copy = this.#copy(scope, {});
    const opened = await TestVault.open(scope, copy);
    for (const [index, name] of NAMES.slice(0, NAMES_IN_WAL).entries()) {
      await opened.save(name, textOf(name, ONLY_IN_WAL, index));
    }
    const names = [STORE_FILE, WAL_FILE];
    return Object.fromEntries(names.map((name) => [name, readFileSync(path.join(copy, name))]));
  }

  /** Opens a copy with these files replaced, and reads everything. */
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
    const last = WAL_FILE in files ? NAMES_IN_WAL : 0;
    const before = last > 0 ? CURRENT : OLDER;
    const versions: (number | undefined)[] = [];
    for (const [index, name] of NAMES.entries()) {
      try {
        const value = opened.value(name);
        const version = [OLDER, CURRENT, ONLY_IN_WAL].find((one) => value === textOf(name, one, index));
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
    const isEarlier = last > 0 && NAMES.every((_, index) => versions[index] === versionAfter(last - 1, index));
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

/** Tells whether an undamaged store looks as it must. */
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

/** Returns the version of a name after so many commits in the WAL. */
function versionAfter(commits: number, index: number): number {
  return index < commits ? ONLY_IN_WAL : CURRENT;
}

/** Returns the value of a name in a version; values have several lengths, and no two are equal. */
function textOf(name: string, version: number, index: number): string {
  return `${name} ${version} `.padEnd(LENGTHS[index % LENGTHS.length] ?? 1, 'x');
}

/** Tells whether a record, damaged or not, lies at the name's tag. */
function hasRecord({ vault, store }: TestVault, name: string): boolean {
  return store.get(KIND.credential, vault.unlocked().sealing.credentialTag('system', name)) !== undefined;
}

/** Tells whether an error is one that has a name for callers or the operator. */
export function isNamed(error: unknown): boolean {
  return error instanceof CredentialError || error instanceof StoreError;
}

function describe(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : 'not an error';
}
