import { copyFileSync, existsSync, statSync } from 'node:fs';
import path from 'node:path';
import type { CredentialClient } from '../../../client/index.ts';
import { BenchScope } from '../../bench/bench-scope.ts';
import { memoryDirectory } from '../../daemon/vault/memory-directory.ts';
import { STORE_FILE, TestVault } from '../../daemon/vault/open-vault.ts';

/** The number of slots kept before one is removed. */
const SLOTS_KEPT = 3;

/** The prefix of key files made here, and the name of the one made with the store. */
const KEY_FILES = 'key-';
const FIRST_KEY_FILE = 'root.key';

/** A client that changes the store's keys without end: a new data key, another slot, one slot less. */
export class Keeper {
  readonly #state: string;
  /** The ways to open each existing slot, by the slot's id. */
  readonly #ways: Map<string, Way> = new Map();
  #removing: string | undefined;
  /**
   * Ids of slots whose creation was not acknowledged before a kill. They are removed, as they would fill the store in
   * time.
   */
  #strays: string[] = [];
  #epoch = 1;
  #turn = 0;
  acknowledgements = 0;

  /** @param state the state directory, in which key files are made */
  constructor(state: string) {
    this.#state = state;
  }

  /** Makes changes until the connection breaks, which is how it always ends. */
  async change(client: CredentialClient): Promise<never> {
    for (;;) {
      for (let stray = this.#strays.pop(); stray !== undefined; stray = this.#strays.pop()) {
        await client.call('RemoveSlot', { id: stray });
      }
      this.#turn += 1;
      const [oldest] = this.#ways.keys();
      if (this.#turn % 3 === 0) {
        this.#epoch = (await client.call('Rekey', {})).keyEpoch;
      } else if (this.#ways.size > SLOTS_KEPT && oldest !== undefined) {
        this.#removing = oldest;
        await client.call('RemoveSlot', { id: oldest });
        this.#ways.delete(oldest);
        this.#removing = undefined;
      } else if (this.#turn % 2 === 0) {
        const { slot, recoveryCode } = await client.call('AddSlot', { kind: 'recovery' });
        if (recoveryCode !== undefined && recoveryCode !== null) this.#ways.set(slot.id, { recoveryCode });
      } else {
        const keyFile = `${KEY_FILES}${this.#turn}`;
        const { slot } = await client.call('AddSlot', { kind: 'keyfile', path: path.join(this.#state, keyFile) });
        this.#ways.set(slot.id, { keyFile });
      }
      this.acknowledgements += 1;
    }
  }

  /** Checks what was acknowledged. A slot whose creation or removal was under way may exist or not. */
  async verify(client: CredentialClient): Promise<string[]> {
    const wrong: string[] = [];
    const { keyEpoch } = await client.call('Status', {});
    if (keyEpoch === undefined || keyEpoch === null || keyEpoch < this.#epoch) {
      wrong.push(`the data key is of epoch ${keyEpoch}; acknowledged was ${this.#epoch}`);
    }
    const { slots } = await client.call('ListSlots', {});
    for (const { label } of slots) {
      if (label?.startsWith(KEY_FILES) === true && !this.#hasKey(label)) wrong.push(`${label} of a slot is not there`);
    }
    const ids = new Set(slots.map(({ id }) => id));
    for (const [id, way] of this.#ways) {
      if (!ids.has(id)) {
        if (id !== this.#removing) wrong.push(`slot ${id} is gone, which nobody removed`);
        this.#ways.delete(id);
        continue;
      }
      if ('keyFile' in way) continue;
      await client.call('Lock', {});
      const opened = await client.call('Unlock', { recoveryCode: way.recoveryCode });
      if (opened.slot !== id) wrong.push(`the code of slot ${id} opened slot ${opened.slot}`);
    }
    this.#removing = undefined;
    const isOurs = ({ kind, label }: (typeof slots)[number]): boolean =>
      kind === 'recovery' || label?.startsWith(KEY_FILES) === true;
    this.#strays = slots.filter((slot) => isOurs(slot) && !this.#ways.has(slot.id)).map(({ id }) => id);
    return wrong;
  }

  /** Opens copies of the store by each key file alone, while no daemon has the store open. Returns what is wrong. */
  async verifyKeyFiles(): Promise<string[]> {
    const wrong: string[] = [];
    for (const way of this.#ways.values()) {
      if (!('keyFile' in way)) continue;
      await using scope = new BenchScope();
      const directory = memoryDirectory(scope);
      for (const name of [STORE_FILE, `${STORE_FILE}-wal`, way.keyFile]) {
        const file = path.join(this.#state, name);
        if (existsSync(file)) copyFileSync(file, path.join(directory, name));
      }
      const { vault } = await TestVault.open(scope, directory);
      if (vault.isLocked) wrong.push(`${way.keyFile} of a slot that was acknowledged does not open the store`);
    }
    return wrong;
  }

  #hasKey(name: string): boolean {
    const size = (file: string): number | undefined =>
      statSync(path.join(this.#state, file), { throwIfNoEntry: false })?.size;
    return size(name) === size(FIRST_KEY_FILE);
  }
}

/** The secret that opens a slot. */
type Way = { readonly recoveryCode: string } | { readonly keyFile: string };
