import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Random } from '../random.ts';
import type { DiskEvent } from './trace.ts';

/** Size of a sector, which a disk writes whole or not at all; SQLite relies on nothing more. */
const SECTOR_BYTES = 512;

/** A change of a file that is in the page cache, and may be on the disk. */
type Pending = Write | { readonly length: number };

interface Write {
  readonly offset: number;
  readonly data: Buffer;
}

interface Inode {
  /** The contents that a sync has brought to the disk. */
  readonly synced: Buffer;
  readonly pending: readonly Pending[];
}

/** A file system on a disk that may lose its power: what was not synced may be there, absent, or there in part. */
export class Disk {
  readonly #inodes: Map<number, Inode> = new Map();
  /** The names as the process sees them, and as the disk is sure to have them. */
  readonly #names: Map<string, number> = new Map();
  readonly #syncedNames: Map<string, number> = new Map();
  #next = 0;

  apply(event: DiskEvent): void {
    switch (event.kind) {
      case 'create':
        if (!this.#names.has(event.path)) this.#make(event.path);
        break;
      case 'write':
        this.#change(event.path, (inode) => ({ offset: event.offset ?? contents(inode).length, data: event.data }));
        break;
      case 'truncate':
        this.#change(event.path, () => ({ length: event.length }));
        break;
      case 'sync':
        this.#sync(event.path);
        break;
      case 'link':
      case 'rename': {
        const id = this.#names.get(event.from);
        if (id === undefined) throw new Error(`the trace has a ${event.kind} of a file that is not there`);
        this.#names.set(event.path, id);
        if (event.kind === 'rename') this.#names.delete(event.from);
        break;
      }
      case 'unlink':
        this.#names.delete(event.path);
        break;
      case 'answers':
        break;
    }
  }

  /** Writes a possible state of the disk after a loss of power now into a directory. */
  lose(random: Random, from: string, to: string): void {
    for (const name of new Set([...this.#names.keys(), ...this.#syncedNames.keys()])) {
      const now = this.#names.get(name);
      const before = this.#syncedNames.get(name);
      // A name added or removed since the last sync of its directory may be there or not.
      const id = now === before || random.oneIn(2) ? now : before;
      const inode = id === undefined ? undefined : this.#inodes.get(id);
      if (inode === undefined) continue;
      const file = path.join(to, path.relative(from, name));
      mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
      writeFileSync(file, remains(inode, random), { mode: 0o600 });
    }
  }

  #make(name: string): void {
    this.#next += 1;
    this.#inodes.set(this.#next, { synced: Buffer.alloc(0), pending: [] });
    this.#names.set(name, this.#next);
  }

  #change(name: string, changeOf: (inode: Inode) => Pending): void {
    if (!this.#names.has(name)) this.#make(name);
    const id = this.#names.get(name) ?? 0;
    const inode = this.#inodes.get(id);
    if (inode === undefined) return;
    this.#inodes.set(id, { ...inode, pending: [...inode.pending, changeOf(inode)] });
  }

  /** Syncs a file with its own name, or all names of a directory. */
  #sync(name: string): void {
    const id = this.#names.get(name);
    const inode = id === undefined ? undefined : this.#inodes.get(id);
    if (id !== undefined && inode !== undefined) {
      this.#inodes.set(id, { synced: contents(inode), pending: [] });
      this.#syncedNames.set(name, id);
      return;
    }
    const inside = (other: string): boolean => path.dirname(other) === name;
    for (const other of [...this.#syncedNames.keys()].filter(inside)) this.#syncedNames.delete(other);
    for (const [other, otherId] of this.#names) if (inside(other)) this.#syncedNames.set(other, otherId);
  }
}

/** Returns a file's contents as the process sees them. */
function contents({ synced, pending }: Inode): Buffer {
  return pending.reduce(applied, synced);
}

/**
 * Returns what remains of a file: all, only what was synced, or also any choice of unsynced writes, whole or by
 * sectors.
 */
function remains(inode: Inode, random: Random): Buffer {
  const mode = random.below(4);
  if (mode === 0) return inode.synced;
  if (mode === 1) return contents(inode);
  let bytes = inode.synced;
  for (const change of inode.pending) {
    if (random.oneIn(2)) continue;
    bytes = mode === 2 || 'length' in change ? applied(bytes, change) : torn(bytes, change, random);
  }
  return bytes;
}

function torn(bytes: Buffer, { offset, data }: Write, random: Random): Buffer {
  let result = bytes;
  let start = 0;
  while (start < data.length) {
    const end = Math.min(data.length, (Math.floor((offset + start) / SECTOR_BYTES) + 1) * SECTOR_BYTES - offset);
    if (random.oneIn(2)) result = applied(result, { offset: offset + start, data: data.subarray(start, end) });
    start = end;
  }
  return result;
}

function applied(bytes: Buffer, change: Pending): Buffer {
  const length = 'length' in change ? change.length : Math.max(bytes.length, change.offset + change.data.length);
  const result = Buffer.alloc(length);
  bytes.copy(result);
  if ('data' in change) change.data.copy(result, change.offset);
  return result;
}
