import { explain } from './linearizability.ts';
import type { Happening } from './linearizability.ts';
import { NOTHING, applyCall, applySetSight, applySight } from './thing.ts';
import type { Call, Reply, State, Thing } from './thing.ts';

/** What a list or a watch reports about a credential or a set. */
export type Told = Readonly<Record<string, unknown>>;

/** A call under way. */
export interface Made {
  readonly call: Call;
  readonly asked: number;
  readonly after: Made | undefined;
  /** The effect of the call on each thing that it concerns. */
  readonly happenings: Map<Thing, Happening<State>>;
}

/** A generation that a call made, according to its reply. */
interface Given {
  readonly generation: number;
  readonly asked: number;
  readonly answered: number;
  readonly text: string;
}

/** Methods that make a generation. */
const WRITES: ReadonlySet<string> = new Set(['Create', 'Remove', 'Rollback', 'Grant', 'Revoke']);

/** Records all calls and replies of all clients, and checks that some order explains them. */
export class History {
  readonly #things: readonly Thing[];
  readonly #happenings: Map<Thing, Happening<State>[]> = new Map();
  readonly #states: Map<Thing, readonly State[]> = new Map();
  readonly #underWay: Set<Made> = new Set();
  readonly #unknown: Set<Thing> = new Set();
  #given: Given[] = [];
  #clock = 0;
  /** The number of calls with a reply, and of those whose reply was lost. */
  answered = 0;
  lost = 0;
  refused = 0;
  sights = 0;
  /** The number of checks abandoned for too many possibilities. */
  givenUp = 0;

  constructor(things: readonly Thing[]) {
    this.#things = things;
    for (const thing of things) {
      this.#happenings.set(thing, []);
      this.#states.set(thing, [NOTHING]);
    }
  }

  /** Returns a point in time, later than all before it. */
  tick(): number {
    return (this.#clock += 1);
  }

  /** @param after the previous call on the same connection */
  ask(call: Call, after: Made | undefined): Made {
    const made = { call, asked: this.tick(), after, happenings: new Map<Thing, Happening<State>>() };
    this.#underWay.add(made);
    return made;
  }

  answer(made: Made, reply: Exclude<Reply, undefined>): void {
    this.answered += 1;
    if (reply.error !== undefined) this.refused += 1;
    this.#settle(made, reply, this.tick());
  }

  /** Records that calls under way get no reply, as the daemon is gone. */
  loseTheRest(): void {
    for (const made of this.#underWay) {
      this.lost += 1;
      this.#settle(made, undefined, Infinity);
    }
  }

  /** Records what a list or a watch reported about everything; each part was true at some moment after `since`. */
  see(
    since: number,
    {
      credentials,
      sets,
    }: { readonly credentials: ReadonlyMap<string, Told | undefined>; readonly sets: readonly Told[] },
    who: { readonly isStranger: boolean; readonly text: string },
  ): void {
    const answered = this.tick();
    for (const thing of this.#things) {
      const add = (text: string, apply: Happening<State>['apply']): void => {
        this.sights += 1;
        // No two events share a tick; a sighting takes the half after its own.
        this.#add(thing, { asked: since, answered: answered + 0.5, text: `${who.text} ${text}`, apply });
      };
      for (const name of thing.names) {
        if (!credentials.has(name)) continue;
        const told = credentials.get(name);
        const seen = told === undefined ? undefined : { version: told['version'], generation: told['generation'] };
        add(`${name} ${JSON.stringify(seen)}`, applySight(name, seen, who.isStranger));
      }
      for (const one of sets) {
        if (one['set'] !== thing.target) continue;
        const fields = one['fields'] as readonly string[] | undefined;
        const names = fields?.map((field) => `cio_${thing.target}_${field}`);
        const seen = { generation: one['generation'] as number, fields: names };
        add(`set ${JSON.stringify({ set: thing.target, ...seen })}`, applySetSight(seen, who.isStranger));
      }
    }
  }

  /** Things about which nothing can be said, as too much may have happened, until they are removed. */
  get unknown(): readonly Thing[] {
    return [...this.#unknown];
  }

  /** Records that a thing has been removed completely while no call about it was under way. */
  beginAnew(thing: Thing): void {
    this.givenUp += 1;
    this.#unknown.delete(thing);
    this.#happenings.set(thing, []);
    this.#states.set(thing, [NOTHING]);
  }

  /** Returns what was wrong since the last call of this method. No call may be under way. */
  verify(): string[] {
    const wrong: string[] = [];
    for (const thing of this.#things) {
      const happenings = this.#happenings.get(thing) ?? [];
      const found = explain(happenings, this.#states.get(thing) ?? [], POSSIBILITIES_MAX);
      this.#happenings.set(thing, []);
      if ('states' in found) {
        this.#states.set(thing, found.states ?? []);
        if (found.states === undefined) this.#unknown.add(thing);
        continue;
      }
      const { asked, answered, text } = found.unexplained;
      const around = happenings
        .filter((one) => one.asked < answered && one.answered > asked - AROUND)
        .toSorted((a, b) => a.asked - b.asked)
        .map((one) => `  [${one.asked}, ${one.answered}] ${one.text}`);
      wrong.push(`no order explains of ${thing.target}: ${text}; around it:\n${around.join('\n')}`);
    }
    wrong.push(...this.#wrongGenerations());
    return wrong;
  }

  #settle(made: Made, reply: Reply, answered: number): void {
    this.#underWay.delete(made);
    const { call, asked, after } = made;
    const who = call.isStranger === true ? 'stranger: ' : '';
    const said = reply === undefined ? 'lost' : brief(reply.error ?? reply.parameters ?? {});
    const text = `${who}${call.method} ${brief(call.parameters)} → ${said}`;
    const generation = reply?.parameters?.['generation'];
    const isEmpty = (reply?.parameters?.['saved'] as readonly unknown[] | undefined)?.length === 0;
    if (reply?.error === undefined && typeof generation === 'number' && WRITES.has(call.method) && !isEmpty) {
      this.#given.push({ generation, asked, answered, text });
    }
    for (const thing of this.#things) {
      if (!isAbout(call, thing)) continue;
      const happening = {
        asked,
        answered,
        text,
        after: lastAbout(thing, after),
        apply: applyCall(thing, call, reply),
      };
      made.happenings.set(thing, happening);
      this.#add(thing, happening);
    }
  }

  #add(thing: Thing, happening: Happening<State>): void {
    this.#happenings.get(thing)?.push(happening);
  }

  /** Checks that no generation was given twice, and that later calls got higher ones. */
  #wrongGenerations(): string[] {
    const wrong: string[] = [];
    let last: Given | undefined;
    let lastAsked: Given | undefined;
    for (const one of this.#given.toSorted((a, b) => a.generation - b.generation)) {
      if (last?.generation === one.generation) wrong.push(`one generation for two: ${last.text} and ${one.text}`);
      if (lastAsked !== undefined && one.answered < lastAsked.asked) {
        wrong.push(`a later call has a lower generation: ${one.text} before ${lastAsked.text}`);
      }
      if (lastAsked === undefined || one.asked > lastAsked.asked) lastAsked = one;
      last = one;
    }
    this.#given = last === undefined ? [] : [last];
    return wrong;
  }
}

/**
 * The limit of possibilities, examined in seconds. Some hundreds are usual; a kill during ten writes to one thing can
 * leave a million.
 */
const POSSIBILITIES_MAX = 20_000;

/** The number of characters of a text reported with a breach. */
const TEXT = 24;

/** The number of ticks before a breach that are reported with it. */
const AROUND = 12;

function brief(said: unknown): string {
  return JSON.stringify(said, (_, value: unknown) => (typeof value === 'string' ? value.slice(0, TEXT) : value));
}

/** Returns the last call on the same connection that concerned the thing as well. */
function lastAbout(thing: Thing, made: Made | undefined): Happening<State> | undefined {
  for (let one = made; one !== undefined; one = one.after) {
    const happening = one.happenings.get(thing);
    if (happening !== undefined) return happening;
  }
  return undefined;
}

function isAbout({ method, parameters }: Call, { target, names }: Thing): boolean {
  if (method === 'Backup' || method === 'Restore') return true;
  const given = (parameters['credentials'] ?? []) as readonly { readonly name: string }[];
  const texts = [
    ...given.map(({ name }) => name),
    ...((parameters['names'] ?? []) as readonly string[]),
    ...[parameters['name'], parameters['set'], parameters['target']].filter((text) => typeof text === 'string'),
  ];
  return texts.some((text) => text === target || names.includes(text));
}
