/** Something that a client asked for, or saw, of one thing that many share. */
export interface Happening<State> {
  /** When it was asked for, and when the answer was there: ticks of one clock, no two the same. Infinity where none came. */
  readonly asked: number;
  readonly answered: number;
  /** What was asked for just before on the same connection: it happens first. */
  readonly after?: Happening<State> | undefined;
  /** The state that it leaves; undefined where this is not what it answers in that state. */
  readonly apply: (state: State) => State | undefined;
  /** For whoever reads of a breach. */
  readonly text: string;
}

/** A state that there may be, with those that are under way and have happened in it. */
interface Possibility<State> {
  readonly state: State;
  readonly done: ReadonlySet<Happening<State>>;
}

/**
 * Looks for an order in which all that was answered can have happened one after the other, each at some moment between its
 * question and its answer; what was never answered happened or did not. It goes through the answers as they came and keeps
 * every state that there may be (Lowe, “Testing for linearizability”, 2017).
 *
 * @param possibilitiesMax of many changes whose answers were lost, any choice in any order may have happened
 * @returns the states that there may be in the end, undefined where they are too many; or the answer that no order explains
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
  /** What was answered and changes nothing happens as soon as it can: nobody else's possibilities are fewer for it. */
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
  /** What can come of a possibility when things happen, until `isEnough`. */
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
