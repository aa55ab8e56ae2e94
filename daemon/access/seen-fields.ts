import { FIELD_IDS } from '../../src/providers/registry.ts';
import { membershipOf } from '../../src/sets.ts';
import { setKey } from '../vault/records.ts';
import type { CredentialRecord, Space } from '../vault/records.ts';
import type { Vault } from '../vault/vault.ts';

/** Sets whose changes are remembered. Where there are more, nothing is known of any. */
const CHANGED_MAX = 10_000;

/** A set by its place. */
interface SetPlace {
  readonly space: Space;
  readonly set: string;
}

/**
 * The fields that sets have, as somebody came by all their credentials: a set can have far more than it has, and to ask
 * for each of them takes longer than the listing itself. Of what is changed meanwhile nothing is known any more.
 */
export class SeenFields implements Disposable {
  readonly #fields: Map<string, Set<string>> = new Map();
  readonly #changed: Map<string, SetPlace> = new Map();
  readonly #stop: () => void;
  #isOther = false;

  /** To be made before the first credential is read. */
  constructor(vault: Vault) {
    this.#stop = vault.watch((change) => {
      for (const { space, name } of change?.credentials ?? []) {
        const set = membershipOf(name)?.set;
        if (set !== undefined) this.#changed.set(setKey({ space, set }), { space, set });
      }
      if (change !== undefined && this.#changed.size <= CHANGED_MAX) return;
      this.#isOther = true;
      this.#changed.clear();
    });
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
    const key = setKey({ space, set });
    const fields = this.#fields.get(key);
    return this.#isOther || fields === undefined || this.#changed.has(key)
      ? FIELD_IDS
      : FIELD_IDS.filter((field) => fields.has(field));
  }

  /** Sets of which nothing came by, and which changed meanwhile: it may have gone before, and come behind. */
  missed(): readonly SetPlace[] {
    return [...this.#changed].filter(([key]) => !this.#fields.has(key)).map(([, place]) => place);
  }

  [Symbol.dispose](): void {
    this.#stop();
  }
}
