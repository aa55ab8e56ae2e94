import type { Problem } from '../../src/protocol/interface.generated.ts';
import { KIND } from '../store/sealed-store.ts';
import type { SealedRecord } from '../store/sealed-store.ts';
import { commitOf } from './name-lists.ts';
import { decodeNames } from './records.ts';
import type { CredentialRecord } from './records.ts';
import type { Sealing } from './sealing.ts';

/** A name in a list, for which no credential was found that refers to that list. */
export interface MissingName {
  readonly name: string;
  /**
   * The credential of this name that refers to an older list: the name belongs to a later credential, so this one was
   * removed before, and put back by another program.
   */
  readonly putBack: CredentialRecord | undefined;
}

/**
 * Compares the lists of names in a store with its shared credentials: first all lists are read, then each credential is
 * struck off the list that it refers to. What is left are names without credentials, and credentials without lists.
 */
export class ListedNames {
  readonly #sealing: Sealing;
  /** By the id of a list: its names, without those whose credentials were found. */
  readonly #names: Map<string, Set<string>> = new Map();
  /** Credentials whose lists do not contain them, by id. */
  readonly #unlisted: Map<string, CredentialRecord> = new Map();
  /** Ids of lists that credentials refer to and that do not exist. */
  readonly #lost: Set<string> = new Set();
  /** Tags of the lists that cannot be decrypted. */
  readonly #damaged: Set<string> = new Set();

  constructor(sealing: Sealing) {
    this.#sealing = sealing;
  }

  /** The names for which no credential was found, by the id of their list. */
  get withoutCredential(): ReadonlyMap<string, ReadonlySet<string>> {
    return this.#names;
  }

  /** The credentials whose lists do not contain them, or cannot be read. */
  get unlisted(): CredentialRecord[] {
    return [...this.#unlisted.values()];
  }

  /** Number of lists that credentials refer to and that do not exist. */
  get lost(): number {
    return this.#lost.size;
  }

  /** Reads a list. @returns whether it could be decrypted */
  read({ tag, body }: SealedRecord): boolean {
    const text = this.#sealing.open(KIND.names, tag, body);
    if (text === undefined) {
      this.#damaged.add(textOf(tag));
      return false;
    }
    const { id, names } = decodeNames(text);
    this.#names.set(id, new Set(names));
    return true;
  }

  /**
   * Strikes a credential off its list.
   *
   * @returns the problem if the list exists and does not contain it; that of a list which is lost or damaged is not the
   *   credential's
   */
  strike(record: CredentialRecord): Problem | undefined {
    const { listed, name } = record;
    if (listed === undefined) return undefined;
    const names = this.#names.get(listed);
    if (names?.delete(name) === true) return undefined;
    this.#unlisted.set(record.id, record);
    if (names !== undefined) {
      const detail = 'its list of names does not have it: it was removed and put back, or the list is an older one';
      return { what: 'added', name, detail };
    }
    if (!this.#damaged.has(textOf(this.#sealing.namesTag(listed)))) this.#lost.add(listed);
    return undefined;
  }

  /** Yields the names without a credential. Called once all credentials are struck off. */
  *missing(): Generator<MissingName, void, undefined> {
    const unlisted = new Map(this.unlisted.map((record) => [record.name, record]));
    for (const [id, names] of this.#names) {
      for (const name of names) {
        const record = unlisted.get(name);
        const isOlder = record?.listed !== undefined && commitOf(record.listed) < commitOf(id);
        yield { name, putBack: isOlder ? record : undefined };
      }
    }
  }

  /** Tells whether a credential refers to a list that does not exist. */
  isListLost({ listed }: CredentialRecord): boolean {
    return listed !== undefined && this.#lost.has(listed);
  }

  /** Forgets credentials that another program added, and lost lists that only these refer to. */
  forget(added: readonly CredentialRecord[]): void {
    for (const { id, listed } of added) {
      this.#unlisted.delete(id);
      if (listed !== undefined) this.#lost.delete(listed);
    }
  }
}

function textOf(tag: Uint8Array): string {
  return Buffer.from(tag).toString('latin1');
}
