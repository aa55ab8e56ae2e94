import { FIELD_IDS } from '../../src/providers/registry.ts';
import { membershipOf } from '../../src/sets.ts';
import type { CredentialRecord, Space } from '../vault/records.ts';
import type { Vault } from '../vault/vault.ts';

/**
 * The fields that sets have, as somebody came by all their credentials: a set can have far more than it has, and to ask
 * for each of them takes longer than the listing itself. Of what is changed meanwhile nothing is known any more.
 */
export class SeenFields implements Disposable {
  readonly #fields: Map<string, Set<string>> = new Map();
  readonly #changed: Set<string> = new Set();
  readonly #stop: () => void;
  #isOther = false;

  /** To be made before the first credential is read. */
  constructor(vault: Vault) {
    this.#stop = vault.watch((change) => {
      if (change === undefined) this.#isOther = true;
      else for (const { space, name } of change.credentials) this.#changed.add(keyOf(space, membershipOf(name)?.set));
    });
  }

  add({ space, name }: CredentialRecord): void {
    const member = membershipOf(name);
    if (member === undefined) return;
    const key = keyOf(space, member.set);
    const fields = this.#fields.get(key);
    if (fields === undefined) this.#fields.set(key, new Set([member.field]));
    else fields.add(member.field);
  }

  /** The fields that are worth asking for. */
  of(space: Space, set: string): readonly string[] {
    const key = keyOf(space, set);
    const fields = this.#fields.get(key);
    return this.#isOther || fields === undefined || this.#changed.has(key)
      ? FIELD_IDS
      : FIELD_IDS.filter((field) => fields.has(field));
  }

  [Symbol.dispose](): void {
    this.#stop();
  }
}

function keyOf(space: Space, set: string | undefined): string {
  return `${space} ${set ?? ''}`;
}
