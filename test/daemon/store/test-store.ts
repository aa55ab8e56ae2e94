import path from 'node:path';
import { KIND, StoreError, fixedTag } from '../../../daemon/store/sealed-store.ts';
import type { SealedRecord, StoreFailure } from '../../../daemon/store/sealed-store.ts';
import { SqliteStore } from '../../../daemon/store/sqlite-store.ts';
import type { Scope } from '../../support/scope.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

/** The kind and tag of the head. */
export const HEAD = { kind: KIND.head, tag: fixedTag('head') } as const;

/** Returns the path of a file that does not exist yet, in a directory that is removed with the scope. */
export function newFile(scope: Scope): string {
  return path.join(temporaryDirectory(scope), 'credentials.db');
}

/** Opens a store until the scope ends. */
export function open(scope: Scope, file: string = newFile(scope)): SqliteStore {
  const store = SqliteStore.open(file);
  scope.after(() => store.close());
  return store;
}

/** Returns a record of the kind `value`. */
export function value(tag: string, body: string | Uint8Array = 'body'): SealedRecord {
  return { kind: KIND.value, tag: Buffer.from(tag), body: Buffer.from(body as Uint8Array) };
}

/** Commits records under a head of the given number. */
export function commit(store: SqliteStore, number: number, records: readonly SealedRecord[]): void {
  const transaction = store.begin(number === 1 ? undefined : Buffer.of(number - 1));
  for (const record of records) transaction.put(record);
  transaction.put({ ...HEAD, body: Buffer.of(number) });
  transaction.commit();
}

/** Returns what tells `assert.throws` whether an error is the {@link StoreError} of a failure. */
export function fails(failure: StoreFailure, message: RegExp = /./): (error: unknown) => boolean {
  return (error) => error instanceof StoreError && error.failure === failure && message.test(error.message);
}

/** Returns a body as text; undefined if there is none. */
export function text(bytes: Uint8Array | undefined): string | undefined {
  return bytes === undefined ? undefined : Buffer.from(bytes).toString();
}
