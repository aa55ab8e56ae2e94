/**
 * What waits of one user, in two arrays: `Array.shift` moves all elements that are left, which takes 0.1 ms if they are
 * tens of thousands.
 */
interface UserWork<T> {
  /** Comes next, in reverse order. */
  front: T[];
  /** Comes after `front`, in order. */
  back: T[];
}

/** A queue of work in which users take turns, however much work each of them has. */
export class UserQueue<T = () => void> {
  /** In the order of turns: the first user has waited longest. */
  readonly #waiting: Map<number | undefined, UserWork<T>> = new Map();

  get isEmpty(): boolean {
    return this.#waiting.size === 0;
  }

  /** @param uid undefined for the daemon itself */
  add(uid: number | undefined, work: T): void {
    const userWork = this.#waiting.get(uid);
    if (userWork === undefined) this.#waiting.set(uid, { front: [work], back: [] });
    else userWork.back.push(work);
  }

  /** Removes and returns what comes next; undefined if nothing waits. */
  take(): T | undefined {
    const [next] = this.#waiting;
    if (next === undefined) return undefined;
    const [uid, userWork] = next;
    const work = userWork.front.pop();
    if (userWork.front.length === 0) [userWork.front, userWork.back] = [userWork.back.toReversed(), []];
    this.#waiting.delete(uid);
    if (userWork.front.length > 0) this.#waiting.set(uid, userWork);
    return work;
  }
}
