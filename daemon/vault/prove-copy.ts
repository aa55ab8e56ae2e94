import { createHash } from 'node:crypto';
import { closeSync, openSync, readSync } from 'node:fs';

import { CredentialError } from '../../src/errors.ts';
import { dropCachedPages } from '../kernel/libc.ts';
import { KIND, StoreError } from '../store/sealed-store.ts';
import type { SealedReader, SealedRecord } from '../store/sealed-store.ts';
import { SqliteStore } from '../store/sqlite-store.ts';
import { TimeSlice } from '../time-slice.ts';
import { Digest, headIn } from './head.ts';
import type { Sealing } from './sealing.ts';
import type { Vault } from './vault.ts';

/** Bytes hashed between two checks of the clock: about a millisecond of work. */
const PIECE_BYTES: number = 256 * 1024;

/** Records read between two checks of the clock; each may have a little more than 1 MiB. */
const PAGE = 16;

/** The SHA-256 of a copy that is proven, in hexadecimal digits; or why it is not. */
export type Proof = { readonly sha256: string } | 'damaged' | 'interrupted';

/** Thrown when the keys with which the records are checked are no longer those of the store. */
class InterruptedError extends Error {}

/**
 * Reads a copy of the store back from the disk, past all caches: its pages have to be whole, each record has to open
 * with the store's data key, and all of them together have to be those of the copy's head. While the store is locked,
 * nothing can be opened: the records of the copy are compared with those of the store, which nobody can change then.
 *
 * @param path of a copy that is synced, and open nowhere
 * @param requireWanted throws if nobody waits for the copy any more
 * @returns `interrupted` if the store was locked, unlocked, rekeyed or restored meanwhile
 * @throws CredentialError if the store cannot be read, and what `requireWanted` throws
 * @throws StoreError if the copy, or its pages, cannot be checked
 */
export async function proveCopy(vault: Vault, path: string, requireWanted: () => void): Promise<Proof> {
  const sealing = sealingOf(vault);
  const slice = new TimeSlice(vault.turns, undefined, () => {
    requireWanted();
    if (sealingOf(vault) !== sealing) throw new InterruptedError();
  });
  try {
    // Hashed before its records are read: a byte that is read wrongly here is either read so there as well, or the hash
    // is not that of the bytes that are sent later.
    const sha256 = await hashOnDisk(path, slice);
    const copy = SqliteStore.open(path);
    try {
      if (await isWhole(vault, copy, slice, sealing)) return { sha256 };
      return sealingOf(vault) === sealing ? 'damaged' : 'interrupted';
    } finally {
      copy.close();
    }
  } catch (error) {
    if (error instanceof InterruptedError) return 'interrupted';
    // A version that this daemon did not write is as wrong as any other byte.
    if (error instanceof StoreError && /^(?:damaged|newer)$/.test(error.failure)) return 'damaged';
    throw error;
  }
}

/**
 * Tells whether the store itself has no damage that each of its copies would have as well.
 *
 * @param requireWanted throws if nobody waits for the answer any more
 * @throws CredentialError `Busy` if the store was locked, rekeyed or restored meanwhile; if it cannot be read, and what
 *   `requireWanted` throws
 */
export async function isStoreWhole(vault: Vault, requireWanted: () => void): Promise<boolean> {
  if ((await vault.findPageDamage()).length > 0) return false;
  return vault.readSnapshot(async (snapshot) => {
    const sealing = sealingOf(vault);
    const requireUnchanged = (): void => {
      requireWanted();
      if (sealingOf(vault) !== sealing) throw new CredentialError('Busy', {});
    };
    if (sealing === undefined) return true;
    const isWhole = await areRecordsWhole(snapshot, sealing, new TimeSlice(vault.turns, undefined, requireUnchanged));
    requireUnchanged();
    return isWhole;
  });
}

/** Tells whether a record can be opened, or is one of those in clear or under the root key. */
export function isReadable(sealing: Sealing, { kind, tag, body }: SealedRecord): boolean {
  if (kind !== KIND.head && kind < KIND.principal) return true;
  return sealing.openFor(kind, tag, body, () => true) === true;
}

async function isWhole(
  vault: Vault,
  copy: SqliteStore,
  slice: TimeSlice,
  sealing: Sealing | undefined,
): Promise<boolean> {
  if ((await copy.findPageDamage()).length > 0) return false;
  if (sealing !== undefined) return areRecordsWhole(copy, sealing, slice);
  vault.dropCaches();
  return vault.readSnapshot((snapshot) => haveSameRecords(copy, snapshot, slice));
}

async function areRecordsWhole(records: SealedReader, sealing: Sealing, slice: TimeSlice): Promise<boolean> {
  const digest = new Digest();
  for await (const page of pagesOf(records, slice)) {
    for (const record of page) {
      if (!isReadable(sealing, record)) return false;
      if (record.kind !== KIND.head) digest.add(sealing.fingerprint(record.kind, record.tag, record.body));
    }
  }
  return headIn(records, sealing)?.digest.equals(digest) === true;
}

async function haveSameRecords(one: SealedReader, other: SealedReader, slice: TimeSlice): Promise<boolean> {
  const others = pagesOf(other, slice);
  for await (const page of pagesOf(one, slice)) {
    const { value } = await others.next();
    if (value?.length !== page.length) return false;
    for (const [index, record] of page.entries()) {
      const same = value[index];
      if (same === undefined || Buffer.compare(record.tag, same.tag) !== 0) return false;
      if (Buffer.compare(record.body, same.body) !== 0) return false;
    }
  }
  return true;
}

/** Yields all records, kind by kind; for each kind, the last page has less than {@link PAGE} records. */
async function* pagesOf(records: SealedReader, slice: TimeSlice): AsyncGenerator<SealedRecord[], undefined> {
  for (const kind of Object.values(KIND)) {
    for (let after: Uint8Array | undefined, isLast = false; !isLast;) {
      await slice.pause();
      const page = records.list(kind, after, PAGE);
      yield page;
      after = page.at(-1)?.tag;
      isLast = page.length < PAGE;
    }
  }
}

async function hashOnDisk(path: string, slice: TimeSlice): Promise<string> {
  const file = openSync(path, 'r');
  try {
    dropCachedPages(file);
    const hash = createHash('sha256');
    const bytes = Buffer.alloc(PIECE_BYTES);
    for (;;) {
      await slice.pause();
      const count = readSync(file, bytes, 0, PIECE_BYTES, null);
      if (count === 0) return hash.digest('hex');
      hash.update(bytes.subarray(0, count));
    }
  } finally {
    closeSync(file);
  }
}

/** Returns the sealing of the store; undefined while it is locked. */
function sealingOf(vault: Vault): Sealing | undefined {
  return vault.isLocked ? undefined : vault.unlocked().sealing;
}
