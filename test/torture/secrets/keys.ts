import { cpSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { KIND } from '../../../daemon/store/sealed-store.ts';
import { memoryDirectory } from '../../daemon/vault/memory-directory.ts';
import { TestVault } from '../../daemon/vault/open-vault.ts';
import { BenchScope } from '../../bench/bench-scope.ts';

const KDF_CONTEXT = 'cio-data';
const DATA_KEY_MAGIC = 'cio-data-key-1';

/** Returns every key of a store by name, read from a copy with its key file, after docs/file-format.md. */
export async function keysOf(stateDirectory: string): Promise<ReadonlyMap<string, Uint8Array>> {
  await using scope = new BenchScope();
  const copy = memoryDirectory(scope);
  cpSync(stateDirectory, copy, { recursive: true });
  const { vault, store, sodium } = await TestVault.open(scope, copy);
  const rootKey = Uint8Array.from(vault.unlocked().rootKey);
  const [wrapped] = store.list(KIND.dataKey, undefined, 1);
  if (wrapped === undefined) throw new TypeError('the store has no data key');
  const associated = Buffer.concat([Buffer.from(DATA_KEY_MAGIC), vault.storeId, wrapped.tag]);
  const dataKey = sodium.open(rootKey, wrapped.body, associated);
  if (dataKey === undefined) throw new TypeError('the data key does not open');
  const subkeys = ['tag key', 'seal key', 'digest key'].map((name, index) => {
    const key = sodium.deriveKey(dataKey, index + 1, KDF_CONTEXT);
    const kept = Uint8Array.from(key);
    sodium.release(key);
    return [name, kept] as const;
  });
  const text = readFileSync(path.join(stateDirectory, 'root.key'), 'utf8').trim();
  return new Map<string, Uint8Array>([
    ['root key', rootKey],
    ['data key', dataKey],
    ...subkeys,
    ['key of the key file', Buffer.from(text, 'base64')],
    ['key of the key file as text', Buffer.from(text)],
  ]);
}
