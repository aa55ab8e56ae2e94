import { setTimeout as pause } from 'node:timers/promises';
import type { Random } from '../random.ts';
import type { RawVarlink, Reply } from '../../support/varlink.ts';
import type { History, Made, Told } from './history.ts';
import type { Call, Thing } from './thing.ts';

const PREFIX = 'io.cio.Credentials.';

/** The largest number of calls sent at once. */
const CALLS_AT_ONCE = 3;

/** A call; lists are marked, as their replies concern all things. */
interface Asking extends Call {
  readonly isList?: boolean;
}

/** A client that makes random calls on a connection of its own. */
export class Speaker {
  readonly #connection: RawVarlink;
  readonly #history: History;
  readonly #random: Random;
  readonly #things: readonly Thing[];
  readonly #isStranger: boolean;
  /** The last generation heard of each thing. */
  readonly #heard: Map<string, number> = new Map();

  constructor(
    connection: RawVarlink,
    {
      history,
      random,
      things,
    }: { readonly history: History; readonly random: Random; readonly things: readonly Thing[] },
    isStranger = false,
  ) {
    this.#connection = connection;
    this.#history = history;
    this.#random = random;
    this.#things = things;
    this.#isStranger = isStranger;
  }

  /**
   * Makes calls for some turns.
   *
   * @returns whether the connection still exists
   */
  async speak(turns: number): Promise<boolean> {
    for (let turn = 0; turn < turns; turn += 1) {
      const askings = Array.from({ length: 1 + this.#random.below(CALLS_AT_ONCE) }, () => this.#nextAsking());
      if (!(await this.ask(askings))) return false;
      if (this.#random.oneIn(4)) await pause(this.#random.below(4));
    }
    return true;
  }

  /**
   * Sends all calls at once.
   *
   * @returns whether all of them were answered
   */
  async ask(askings: readonly Asking[]): Promise<boolean> {
    const messages = askings.map(({ method, parameters, isList = false }) =>
      JSON.stringify({ method: PREFIX + method, parameters, ...(isList ? { more: true } : {}) }),
    );
    let last: Made | undefined;
    const all = askings.map((asking) => {
      if (asking.isList === true) return { asking, since: this.#history.tick(), made: undefined };
      last = this.#history.ask({ ...asking, isStranger: this.#isStranger }, last);
      return { asking, since: 0, made: last };
    });
    this.#connection.send(`${messages.join('\0')}\0`);
    for (const { asking, made, since } of all) {
      if (made === undefined) {
        if (!(await this.#hearList(since))) return false;
        continue;
      }
      const reply = await this.#connection.receive();
      if (reply === undefined) return false;
      this.#history.answer(made, reply);
      const generation = reply.parameters?.['generation'];
      if (typeof generation === 'number') this.#heard.set(this.#thingOf(asking), generation);
    }
    return true;
  }

  async #hearList(since: number): Promise<boolean> {
    const sets: Told[] = [];
    const credentials = new Map<string, Told | undefined>(
      this.#things.flatMap(({ names }) => names.map((name) => [name, undefined])),
    );
    for (;;) {
      const reply: Reply | undefined = await this.#connection.receive();
      if (reply === undefined) return false;
      // Locked, or Busy while the data key changes.
      if (reply.error !== undefined) return true;
      const part = reply.parameters as { credentials: readonly Told[]; sets: readonly Told[] };
      for (const told of part.credentials)
        if (credentials.has(told['name'] as string)) credentials.set(told['name'] as string, told);
      sets.push(...part.sets);
      if (reply.continues !== true) break;
      // Read slowly, so that much is committed between two parts.
      if (this.#random.oneIn(3)) {
        this.#connection.socket.pause();
        await pause(this.#random.below(8));
        this.#connection.socket.resume();
      }
    }
    this.#history.see(since, { credentials, sets }, { isStranger: this.#isStranger, text: 'a list tells' });
    return true;
  }

  #nextAsking(): Asking {
    const random = this.#random;
    const thing = random.pick(this.#things);
    const name = random.pick(thing.names);
    const target = { target: thing.target, owner: 0 };
    if (random.oneIn(15)) return { method: 'List', parameters: { owner: 0 }, isList: true };
    const isWholeRead = thing.isSet && random.oneIn(2);
    const read = isWholeRead
      ? { method: 'GetSet', parameters: { set: thing.target, allowIncomplete: true, owner: 0 } }
      : { method: 'Get', parameters: { name, owner: 0 } };
    if (this.#isStranger) return read;
    const ifGeneration = random.oneIn(3) ? { ifGeneration: this.#heard.get(thing.target) ?? 0 } : {};
    switch (random.below(12)) {
      case 0:
      case 1:
      case 2:
        return {
          method: 'Create',
          parameters: { credentials: this.#values(thing.names), replace: true, ...ifGeneration },
        };
      case 3:
        return {
          method: 'Create',
          parameters: { credentials: this.#values([name]), replace: random.oneIn(2), ...ifGeneration },
        };
      case 4:
        return { method: 'Rollback', parameters: { target: name } };
      case 5:
        return { method: 'Remove', parameters: { names: [random.oneIn(2) ? thing.target : name], ...ifGeneration } };
      case 6:
        return { method: 'Grant', parameters: { ...target, grantees: [{ uid: STRANGER }] } };
      case 7:
        return { method: 'Revoke', parameters: { ...target, grantees: [{ uid: STRANGER }] } };
      default:
        return read;
    }
  }

  /** Returns values that differ from all others, so that a read tells which call wrote them. */
  #values(names: readonly string[]): { name: string; value: string }[] {
    const value = `${this.#history.tick()}`;
    const length = this.#random.oneIn(8) ? 90_000 : 1;
    return names.map((name) => ({ name, value: `${value}-`.padEnd(length, 'x') }));
  }

  #thingOf({ parameters }: Call): string {
    const text = JSON.stringify(parameters);
    return (
      this.#things.find(({ target, names }) => [target, ...names].some((one) => text.includes(`"${one}"`)))?.target ??
      ''
    );
  }
}

/** The user who is granted credentials now and then. */
export const STRANGER = 3001;
