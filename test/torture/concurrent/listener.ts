import type { History, Told } from './history.ts';

/** Receives the replies of a watch, and checks each against the previous ones. */
export class Listener {
  readonly #history: History;
  readonly #isStranger: boolean;
  readonly #began: number;
  readonly #credentials: Map<string, Told> = new Map();
  readonly #sets: Map<string, Told> = new Map();
  /** The last generation reported for each name, even if the name is gone since. */
  readonly #generations: Map<string, number> = new Map();
  readonly #onWrong: (wrong: string) => void;
  isSettled = false;

  constructor(history: History, isStranger: boolean, onWrong: (wrong: string) => void) {
    this.#history = history;
    this.#isStranger = isStranger;
    this.#onWrong = onWrong;
    this.#began = history.tick();
  }

  /** Receives a reply. */
  hear(reply: Readonly<Record<string, unknown>>): void {
    const { credentials, sets, vanished, settled } = reply as {
      credentials: readonly Told[];
      sets: readonly Told[];
      vanished: readonly Told[];
      settled: boolean;
    };
    this.isSettled ||= settled;
    for (const told of credentials) {
      const name = told['name'] as string;
      const generation = told['generation'] as number;
      const last = this.#generations.get(name) ?? 0;
      // A credential that was revoked and is granted again is reported again.
      const isAgain = this.#isStranger && !this.#credentials.has(name) && generation === last;
      if (generation <= last && !isAgain) this.#onWrong(`${name} is told at ${generation}, after ${last}`);
      this.#generations.set(name, generation);
      this.#credentials.set(name, told);
    }
    for (const told of sets) {
      const set = told['set'] as string;
      if (JSON.stringify(this.#sets.get(set)) === JSON.stringify(told)) this.#onWrong(`set ${set} is told twice`);
      this.#sets.set(set, told);
    }
    for (const { kind, name } of vanished) {
      const known = kind === 'set' ? this.#sets : this.#credentials;
      if (!known.delete(name as string))
        this.#onWrong(`${String(kind)} ${String(name)} is told as gone, and was never there`);
    }
    // All of one reply was true at one moment, after the watch began.
    const seen = { credentials: new Map(credentials.map((told) => [told['name'] as string, told])), sets };
    this.#history.see(this.#began, seen, { isStranger: this.#isStranger, text: 'a watch tells' });
  }

  /** Returns the differences between what the watch reported and a list; empty if there is none. */
  differences({
    credentials,
    sets,
  }: {
    readonly credentials: readonly Told[];
    readonly sets: readonly Told[];
  }): string[] {
    const wanted = new Set([
      ...credentials.map((one) => `${String(one['name'])} at ${String(one['generation'])}`),
      ...sets.map((one) => `set ${String(one['set'])} at ${String(one['generation'])}`),
    ]);
    const told = new Set([
      ...[...this.#credentials.values()].map((one) => `${String(one['name'])} at ${String(one['generation'])}`),
      ...[...this.#sets.values()].map((one) => `set ${String(one['set'])} at ${String(one['generation'])}`),
    ]);
    return [
      ...[...wanted].filter((one) => !told.has(one)).map((one) => `was not told ${one}`),
      ...[...told].filter((one) => !wanted.has(one)).map((one) => `still has ${one}`),
    ];
  }
}
