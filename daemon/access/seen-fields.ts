import { FIELD_IDS } from '../../src/providers/registry.ts';
import { membershipOf } from '../../src/sets.ts';
import { setKey } from '../vault/records.ts';
import type { CredentialRecord, Space } from '../vault/records.ts';
import type { ChangedSets, SetPlace } from './changed-sets.ts';

/**
 * The fields that sets have, as somebody came by all their credentials: a set can have far more than it has, and to ask
 * for each of them takes longer than the listing itself. Of what is changed meanwhile nothing is known any more.
 */
export class SeenFields implements Disposable {
  readonly #fields: Map<string, Set<string>> = new Map();
  readonly #changes: ChangedSets;
  readonly #since: number;

  /** To be made before the first credential is read. */
  constructor(changes: ChangedSets) {
    this.#changes = changes;
    this.#since = changes.begin();
  }

  add({ space, name }: CredentialRecord): void {
    const member = membershipOf(name);
    if (member === undefined) return;
    const key = setKey({ space, set: member.set });
    const fields = this.#fields.get(key);
    if (fields === undefined) this.#fields.set(key, new Set([member.field]));
    else fields.add(member.field);
  }

  /** The fields that are worth asking for. */
  of(space: Space, set: string): readonly string[] {
    const fields = this.#fields.get(setKey({ space, set }));
    const isAsSeen = this.#changes.isKnown(this.#since) && !this.#changes.hasChanged({ space, set }, this.#since);
    return fields === undefined || !isAsSeen ? FIELD_IDS : FIELD_IDS.filter((field) => fields.has(field));
  }

  /**
   * Sets of which nothing came by, and which changed meanwhile: it may have gone before, and come behind. None where there are
   * more of them than are remembered.
   */
  missed(): readonly SetPlace[] {
    if (!this.#changes.isKnown(this.#since)) return [];
    return this.#changes.changed(this.#since).filter((place) => !this.#fields.has(setKey(place)));
  }

  [Symbol.dispose](): void {
    this.#changes.end();
  }
}
