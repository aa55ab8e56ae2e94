import type { CredentialClient } from '../../../client/index.ts';
import type { Random } from '../random.ts';

/** Few names, so that each is written many times. */
const NAMES = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'] as const;

const LENGTHS = [1, 800, 9000, 60_000] as const;

/** The number of calls under way at a time. They are committed together, and acknowledged in order. */
const WINDOW = 6;

type Contents = ReadonlyMap<string, string>;

/** Records the calls, and the contents after each of them. */
export class History {
  /** The contents after each number of calls. */
  readonly #after: Contents[] = [new Map()];

  /** The number of calls made. */
  get length(): number {
    return this.#after.length - 1;
  }

  /** Makes calls in one order over one connection, with some under way at a time. */
  async make(client: CredentialClient, calls: number, random: Random): Promise<void> {
    const underWay: Promise<unknown>[] = [];
    const send = <T>(call: Promise<T>): Promise<T> => {
      // All are awaited in turn. If an earlier one fails, the later ones are not awaited any more.
      call.catch(() => undefined);
      underWay.push(call);
      return call;
    };
    let added: Promise<{ readonly slot: { readonly id: string } }> | undefined;
    for (let turn = 1; turn <= calls; turn += 1) {
      const contents = this.#after.at(-1) ?? new Map<string, string>();
      if (underWay.length >= WINDOW) await underWay.shift();
      const name = random.pick(NAMES);
      if (turn % 40 === 0) {
        void send(client.call('Rekey', {}));
        this.#after.push(contents);
      } else if (turn % 25 === 0) {
        // The number of slots in a store is limited.
        if (added === undefined) {
          added = send(client.call('AddSlot', { kind: 'recovery' }));
        } else {
          const { slot } = await added;
          void send(client.call('RemoveSlot', { id: slot.id }));
          added = undefined;
        }
        this.#after.push(contents);
      } else if (contents.has(name) && random.oneIn(5)) {
        void send(client.call('Remove', { names: [name] }));
        this.#after.push(new Map([...contents].filter(([other]) => other !== name)));
      } else {
        const value = `${turn} `.padEnd(random.pick(LENGTHS), 'x');
        void send(client.call('Create', { credentials: [{ name, value }], replace: true }));
        this.#after.push(new Map([...contents, [name, value]]));
      }
    }
    await Promise.all(underWay);
  }

  /**
   * Returns what is wrong if a store has these values after so many calls were acknowledged; undefined if nothing is.
   */
  explain(valueOf: (name: string) => string | undefined, acknowledged: number): string | undefined {
    const seen = new Map(NAMES.flatMap((name) => [[name, valueOf(name)]] as const));
    const matches = (contents: Contents | undefined): boolean =>
      contents !== undefined && NAMES.every((name) => contents.get(name) === seen.get(name));
    for (let calls = acknowledged; calls <= this.length; calls += 1) if (matches(this.#after[calls])) return undefined;
    const earlier = this.#after.findLastIndex((contents, calls) => calls < acknowledged && matches(contents));
    return earlier === -1
      ? `the values are those of no moment; ${acknowledged} calls were acknowledged`
      : `only ${earlier} calls are there; ${acknowledged} were acknowledged`;
  }
}
