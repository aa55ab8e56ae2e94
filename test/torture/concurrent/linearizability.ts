/** An event about one shared thing: a client's call, or what it saw. */
export interface Happening<State> {
  /** The times of the call and of its reply, in ticks of one clock, all different. Infinity if there was no reply. */
  readonly asked: number;
  readonly answered: number;
  /** The previous event of the same connection, which happens before this one. */
  readonly after?: Happening<State> | undefined;
  /** Returns the state after the event; undefined if its reply is not possible in the given state. */
  readonly apply: (state: State) => State | undefined;
  /** Describes the event in the report of a breach. */
  readonly text: string;
}

/** A possible state, with the events under way that have happened in it. */
interface Possibility<State> {
  readonly state: State;
  readonly done: ReadonlySet<Happening<State>>;
}

/**
 * Searches for an order in which all answered events can have happened one after the other, each at some moment between
 * its call and its reply; an event without a reply happened or did not. Goes through the replies in their order and
 * keeps every possible state (Lowe, “Testing for linearizability”, 2017).
 *
 * @param possibilitiesMax the limit of possible states: of many changes whose replies were lost, any choice in any
 * order may have happened
 * @returns the possible final states, undefined if there are too many; or the event whose reply no order explains
 */
export function explain<State>(
  history: readonly Happening<State>[],
  states: readonly State[],
  possibilitiesMax: number = Infinity,
): { readonly states: readonly State[] | undefined } | { readonly unexplained: Happening<State> } {
  const numbers = new Map(history.map((happening, index) => [happening, index]));
  const keyOf = ({ state, done }: Possibility<State>): string =>
    JSON.stringify([[...done].map((one) => numbers.get(one) ?? 0).toSorted((a, b) => a - b), state]);
  const distinct = (all: Iterable<Possibility<State>>): Possibility<State>[] => [
    ...new Map([...all].map((one) => [keyOf(one), one])).values(),
  ];
  let possible = distinct(states.map((state) => ({ state, done: new Set() })));
  const underWay = new Set<Happening<State>>();
  const mayHappen = ({ done }: Possibility<State>, next: Happening<State>): boolean =>
    !done.has(next) && (next.after === undefined || !underWay.has(next.after) || done.has(next.after));
  /** Lets answered events that change nothing happen as soon as possible, which restricts no other event. */
  const withSights = (one: Possibility<State>): Possibility<State> => {
    const { state } = one;
    const done = new Set(one.done);
    const isSight = (next: Happening<State>): boolean =>
      next.answered !== Infinity && mayHappen({ state, done }, next) && next.apply(state) === state;
    for (let size = -1; size !== done.size;) {
      size = done.size;
      for (const next of underWay) if (isSight(next)) done.add(next);
    }
    return { state, done };
  };
  /** Returns the possibilities that follow when events happen, each explored until `isEnough`. */
  const unfold = (isEnough: (one: Possibility<State>) => boolean): Possibility<State>[] | undefined => {
    const waiting = distinct(possible.map(withSights));
    const known = new Set(waiting.map(keyOf));
    const reached: Possibility<State>[] = [];
    for (let one = waiting.pop(); one !== undefined; one = waiting.pop()) {
      reached.push(one);
      if (reached.length > possibilitiesMax) return undefined;
      if (isEnough(one)) continue;
      for (const next of underWay) {
        const state = mayHappen(one, next) ? next.apply(one.state) : undefined;
        if (state === undefined) continue;
        const further = withSights({ state, done: new Set(one.done).add(next) });
        const key = keyOf(further);
        if (!known.has(key)) waiting.push(further);
        known.add(key);
      }
    }
    return reached;
  };
  const moments = history.flatMap((happening) => [
    { at: happening.asked, happening, isAnswer: false },
    { at: happening.answered, happening, isAnswer: true },
  ]);
  for (const { at, happening, isAnswer } of moments.toSorted((a, b) => a.at - b.at)) {
    if (at === Infinity) break;
    if (!isAnswer) {
      underWay.add(happening);
      continue;
    }
    const explained = unfold(({ done }) => done.has(happening))?.filter(({ done }) => done.has(happening));
    if (explained === undefined) return { states: undefined };
    if (explained.length === 0) return { unexplained: happening };
    underWay.delete(happening);
    possible = distinct(
      explained.map(({ state, done }) => ({ state, done: new Set([...done].filter((one) => one !== happening)) })),
    );
  }
  const last = unfold(() => false)?.map(({ state }) => ({ state, done: new Set<Happening<State>>() }));
  return { states: last && distinct(last).map(({ state }) => state) };
}
