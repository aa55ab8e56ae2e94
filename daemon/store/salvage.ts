import { rmSync } from 'node:fs';

import Database from 'better-sqlite3';

import { renameDurably } from './copy-directory.ts';
import { migrate } from './migrations.ts';
import { overwriteAllLeftovers } from './leftovers.ts';
import type { PageFile } from './page-file.ts';
import { scatteredRecords } from './scattered-records.ts';
import { KIND, StoreError } from './sealed-store.ts';
import type { Kind, SealedRecord } from './sealed-store.ts';
import { withStoreErrors } from './sqlite-connection.ts';

/** Large, because rows come in no order and so almost every insert touches another page. */
const CACHE_KIBIBYTES: number = 64 * 1024;

/** Kinds of which a store needs at least one record, or it can never be unlocked. */
const OPENING_KINDS = { store: 'the id of the store', slot: 'an unlock slot', dataKey: 'the data key' } as const;
const IS_OPENING: ReadonlySet<Kind> = new Set([KIND.store, KIND.slot, KIND.dataKey]);

/** The result of a salvage. */
export interface Salvaged {
  readonly records: number;
  /**
   * Records that were left out because two different bodies were found, and it cannot be known which one is current.
   */
  readonly doubtful: number;
}

/**
 * Creates a new store from all records that can be recognised in a damaged file. It has no key, so it does not check
 * the records: `fsck` then drops those that cannot be decrypted, and writes a new head.
 *
 * @param keysFrom an older copy of the same store, from which the store's id, slots and data keys are taken instead
 * @param path of the new store, which must not exist; it appears once all of it is on the disk, or not at all
 * @throws StoreError `damaged` if the new store could never be unlocked
 */
export function salvage(damaged: PageFile, keysFrom: PageFile | undefined, path: string): Salvaged {
  const unfinished = `${path}.salvage`;
  for (const end of ['', '-journal']) rmSync(`${unfinished}${end}`, { force: true });
  try {
    const salvaged = withStoreErrors(() => {
      const database = new Database(unfinished);
      try {
        database.pragma(`cache_size = -${CACHE_KIBIBYTES}`);
        database.pragma('secure_delete = ON');
        migrate(database);
        return database.transaction(() => gather(database, damaged, keysFrom))();
      } finally {
        database.close();
      }
    });
    withStoreErrors(() => overwriteAllLeftovers(unfinished));
    renameDurably(unfinished, path);
    return salvaged;
  } finally {
    for (const end of ['', '-journal']) rmSync(`${unfinished}${end}`, { force: true });
  }
}

function gather(database: Database.Database, damaged: PageFile, keysFrom: PageFile | undefined): Salvaged {
  const put = database.prepare<[Kind, Uint8Array, Uint8Array]>('INSERT OR IGNORE INTO record VALUES (?, ?, ?)');
  const isSame = database
    .prepare<[Uint8Array, Kind, Uint8Array], number>('SELECT body = ? FROM record WHERE kind = ? AND tag = ?')
    .pluck();
  const remove = database.prepare<[Kind, Uint8Array]>('DELETE FROM record WHERE kind = ? AND tag = ?');
  const count = database.prepare<[], number>('SELECT count(*) FROM record').pluck();
  const has = database.prepare<[Kind], number>('SELECT count(*) FROM record WHERE kind = ?').pluck();

  const doubtful = new Map<string, Pick<SealedRecord, 'kind' | 'tag'>>();
  const putAll = (file: PageFile, isTaken: (kind: Kind) => boolean): void => {
    for (const { kind, tag, body } of scatteredRecords(file)) {
      if (!isTaken(kind)) continue;
      if (put.run(kind, tag, body).changes === 1 || isSame.get(body, kind, tag) === 1) continue;
      // A copy: `tag` is a view that would keep the whole payload in memory.
      doubtful.set(`${kind} ${Buffer.from(tag).toString('hex')}`, { kind, tag: Uint8Array.from(tag) });
    }
  };
  putAll(damaged, (kind) => keysFrom === undefined || !IS_OPENING.has(kind));
  if (keysFrom !== undefined) putAll(keysFrom, (kind) => IS_OPENING.has(kind));
  for (const { kind, tag } of doubtful.values()) remove.run(kind, tag);

  for (const [name, words] of Object.entries(OPENING_KINDS)) {
    if (has.get(KIND[name as keyof typeof OPENING_KINDS]) === 0)
      throw new StoreError(
        'damaged',
        `${words} was not found, and the store cannot be opened without it; take it from an older copy: --keys-from`,
      );
  }
  return { records: count.get() ?? 0, doubtful: doubtful.size };
}
