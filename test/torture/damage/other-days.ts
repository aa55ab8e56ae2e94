import { cpSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { CredentialError } from '../../../client/index.ts';
import { StoreError } from '../../../daemon/store/sealed-store.ts';
import { memoryDirectory } from '../../daemon/vault/memory-directory.ts';
import { STORE_FILE, TestVault } from '../../daemon/vault/open-vault.ts';
import { BenchScope } from '../../bench/bench-scope.ts';
import { Breaches } from '../scenario.ts';
import type { Outcome, Torture } from '../scenario.ts';
import { WAL_FILE } from './wal.ts';

const NAMES = Array.from({ length: 12 }, (_, index) => `name-${index}`);
const LENGTHS = [1, 40, 900, 5000] as const;
const DAYS = 6;
/** The days on which all values change; every day after these changes every third one. */
const FULL_DAYS = 2;
const REMOVED_ON = 4;
const REKEYED_ON = 5;

/** The database and its WAL on one day, and the day of each value. */
interface Copy {
  readonly when: string;
  readonly file: Buffer;
  /** The WAL of a killed daemon; a daemon that stops leaves none. */
  readonly wal: Buffer | undefined;
  readonly contents: string;
}

/**
 * Combines the database of one day with the WAL of another, as after a restore of a copy of the database
 * alone.
 */
export async function otherDays({ scope, progress }: Torture): Promise<Outcome> {
  const breaches = new Breaches();
  const directory = memoryDirectory(scope);
  const copies = await keepDiary(directory);
  const known = new Set(copies.map(({ contents }) => contents));
  const wals = copies.flatMap(({ when, wal }) => (wal === undefined ? [] : [{ when, wal }]));
  const pairs = copies.flatMap((of) =>
    wals.filter(({ when }) => when !== of.when).map((other) => [of, other] as const),
  );
  let [whole, mixed, closed] = [0, 0, 0];
  for (const [index, [{ when, file }, other]] of pairs.entries()) {
    const place = `the file of ${when} beside the WAL of ${other.when}`;
    const found = await look(directory, file, other.wal);
    if (found === undefined) closed += 1;
    else if (found.problems > 0) mixed += 1;
    else whole += 1;
    for (const wrong of found?.wrong ?? []) breaches.add(`${place}: ${wrong}`);
    if (found?.problems === 0 && !known.has(found.contents)) {
      breaches.add(`${place}: fsck finds nothing in a store that never was: ${found.contents}`);
    }
    progress(index + 1, pairs.length);
  }
  if (whole === 0 || mixed === 0) breaches.add(`${whole} stores were whole, ${mixed} were mixed`);
  return {
    what: 'the file of one day with the WAL of another is the store of one day, or fsck finds it; no value is wrong',
    count: pairs.length,
    unit: 'pairs',
    detail: `${whole} were the store of a day, fsck finds ${mixed}; ${closed} stores did not open`,
    broken: breaches.sentences,
  };
}

/** Changes a store day by day. Each evening the daemon is killed, started once more, and stopped. */
async function keepDiary(directory: string): Promise<Copy[]> {
  const copies: Copy[] = [];
  await using scope = new BenchScope();
  await (await TestVault.create(scope, directory)).close();
  for (let day = 1; day <= DAYS; day += 1) {
    await using today = new BenchScope();
    const opened = await TestVault.open(today, directory);
    for (const [index, name] of NAMES.entries()) {
      if (day <= FULL_DAYS || (index + day) % 3 === 0) await opened.save(name, textOf(name, day, index));
    }
    if (day === REMOVED_ON) await opened.remove(NAMES.at(-1) ?? '');
    if (day === REKEYED_ON) await opened.rekey();
    const { contents } = contentsOf(opened);
    const wal = readFileSync(path.join(directory, WAL_FILE));
    const copy = { file: readFileSync(path.join(directory, STORE_FILE)), contents };
    copies.push({ ...copy, when: `day ${day}, killed`, wal: wal.length === 0 ? undefined : wal });
    await opened.close();
    const file = readFileSync(path.join(directory, STORE_FILE));
    copies.push({ file, contents, when: `day ${day}, stopped`, wal: undefined });
  }
  return copies;
}

/** Opens a database and a WAL, and reads everything; undefined if the store does not open. */
async function look(
  directory: string,
  file: Buffer,
  wal: Buffer,
): Promise<{ readonly contents: string; readonly wrong: readonly string[]; readonly problems: number } | undefined> {
  await using scope = new BenchScope();
  const copy = memoryDirectory(scope);
  cpSync(directory, copy, { recursive: true });
  if (existsSync(path.join(copy, WAL_FILE))) rmSync(path.join(copy, WAL_FILE));
  writeFileSync(path.join(copy, STORE_FILE), file, { mode: 0o600 });
  writeFileSync(path.join(copy, WAL_FILE), wal, { mode: 0o600 });
  try {
    const opened = await TestVault.open(scope, copy);
    if (opened.vault.isLocked) return undefined;
    const { contents, wrong } = contentsOf(opened);
    return { contents, wrong, problems: (await opened.fsck()).problems.length };
  } catch (error) {
    if (error instanceof StoreError || error instanceof CredentialError) return undefined;
    throw error;
  }
}

/** Returns the day of each value in one line, and the values that are of no day. */
function contentsOf(opened: TestVault): { readonly contents: string; readonly wrong: readonly string[] } {
  const wrong: string[] = [];
  const days = NAMES.map((name, index) => {
    try {
      const value = opened.value(name);
      if (value === undefined) return 'none';
      const day = /^\S+ (\d) /.exec(value)?.[1] ?? '';
      if (value !== textOf(name, Number(day), index)) wrong.push(`${name} has a value that it never had`);
      return day;
    } catch (error) {
      if (error instanceof CredentialError || error instanceof StoreError) return 'refused';
      wrong.push(`${name}: ${String(error)}`);
      return 'failed';
    }
  });
  return { contents: days.join(' '), wrong };
}

function textOf(name: string, day: number, index: number): string {
  return `${name} ${day} `.padEnd(LENGTHS[index % LENGTHS.length] ?? 1, 'x');
}
