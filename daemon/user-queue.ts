/** What waits of one user. `Array.shift` moves all that is left: of tens of thousands, for 0.1 ms each time. */
interface Line<T> {
  /** Comes next, the last first. */
  front: T[];
  /** Comes behind it, in order. */
  back: T[];
}

/** Work that waits. Users come one after the other, however much of it each of them has. */
export class UserQueue<T = () => void> {
  /** The user who comes first has waited longest. */
  readonly #waiting: Map<number | undefined, Line<T>> = new Map();

  get isEmpty(): boolean {
    return this.#waiting.size === 0;
  }

  /** @param uid undefined for the daemon itself */
  add(uid: number | undefined, work: T): void {
    const line = this.#waiting.get(uid);
    if (line === undefined) this.#waiting.set(uid, { front: [work], back: [] });
    else line.back.push(work);
  }

  /** What comes next, which is taken out; undefined where nothing waits. */
  take(): T | undefined {
    const [next] = this.#waiting;
    if (next === undefined) return undefined;
    const [uid, line] = next;
    const work = line.front.pop();
    if (line.front.length === 0) [line.front, line.back] = [line.back.toReversed(), []];
    this.#waiting.delete(uid);
    if (line.front.length > 0) this.#waiting.set(uid, line);
    return work;
  }
}
