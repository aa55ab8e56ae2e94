import type { CredentialClient } from '../../../client/index.ts';

/** Recovery slots that are kept before one is removed. */
const SLOTS_KEPT = 3;

/** One client that changes the keys of the store without end: a new data key, a slot more, a slot less. */
export class Keeper {
  /** Codes by the ids of their slots, of the slots that are there. */
  readonly #codes: Map<string, string> = new Map();
  #removing: string | undefined;
  /** Ids of slots whose code nobody knows: the daemon was killed before it told. Without end they would fill the store. */
  #strays: string[] = [];
  #epoch = 1;
  #turn = 0;
  acknowledgements = 0;

  /** Changes until the connection ends; that is how it always ends. */
  async change(client: CredentialClient): Promise<never> {
    for (;;) {
      for (let stray = this.#strays.pop(); stray !== undefined; stray = this.#strays.pop()) {
        await client.call('RemoveSlot', { id: stray });
      }
      this.#turn += 1;
      const [oldest] = this.#codes.keys();
      if (this.#turn % 3 === 0) {
        this.#epoch = (await client.call('Rekey', {})).keyEpoch;
      } else if (this.#codes.size > SLOTS_KEPT && oldest !== undefined) {
        this.#removing = oldest;
        await client.call('RemoveSlot', { id: oldest });
        this.#codes.delete(oldest);
        this.#removing = undefined;
      } else {
        const { slot, recoveryCode } = await client.call('AddSlot', { kind: 'recovery' });
        if (recoveryCode !== undefined && recoveryCode !== null) this.#codes.set(slot.id, recoveryCode);
      }
      this.acknowledgements += 1;
    }
  }

  /** Tries what was acknowledged. A slot whose making or removal was under way may be there or not. */
  async verify(client: CredentialClient): Promise<string[]> {
    const wrong: string[] = [];
    const { keyEpoch } = await client.call('Status', {});
    if (keyEpoch === undefined || keyEpoch === null || keyEpoch < this.#epoch) {
      wrong.push(`the data key is of epoch ${keyEpoch}; acknowledged was ${this.#epoch}`);
    }
    const { slots } = await client.call('ListSlots', {});
    const ids = new Set(slots.map(({ id }) => id));
    for (const [id, recoveryCode] of this.#codes) {
      if (!ids.has(id)) {
        if (id !== this.#removing) wrong.push(`slot ${id} is gone, which nobody removed`);
        this.#codes.delete(id);
        continue;
      }
      await client.call('Lock', {});
      const opened = await client.call('Unlock', { recoveryCode });
      if (opened.slot !== id) wrong.push(`the code of slot ${id} opened slot ${opened.slot}`);
    }
    this.#removing = undefined;
    this.#strays = slots.filter(({ id, kind }) => kind === 'recovery' && !this.#codes.has(id)).map(({ id }) => id);
    return wrong;
  }
}
