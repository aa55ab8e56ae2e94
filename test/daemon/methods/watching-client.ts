import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import type { Reply } from '../../../daemon/dispatch.ts';
import { NEVER } from '../../../daemon/emitter.ts';
import type { Subscribe } from '../../../daemon/emitter.ts';
import { INTERFACE_NAME } from '../../../src/protocol/interface.generated.ts';
import type { WatchIn, WatchOut, WatchedCredential, WatchedSet } from '../../../src/protocol/interface.generated.ts';
import type { Core, Person } from '../core.ts';
import { checkReply } from '../reply-check.ts';

const METHOD = `${INTERFACE_NAME}.Watch`;

/** A watching caller that remembers what was reported, and asserts that nothing is reported twice or without reason. */
export class WatchingClient {
  readonly credentials: Map<string, WatchedCredential> = new Map();
  readonly sets: Map<string, WatchedSet> = new Map();
  /** The number of replies so far. */
  replies = 0;
  readonly #answer: AsyncGenerator<Reply, void, undefined>;
  readonly #endCallbacks: Set<() => void> = new Set();
  #next: Promise<IteratorResult<Reply, void>> | undefined;

  constructor(core: Core, person: Person, parameters: WatchIn = {}) {
    const onEnding: Subscribe = (callback) => {
      this.#endCallbacks.add(callback);
      return () => void this.#endCallbacks.delete(callback);
    };
    const answer = core.dispatch(core.caller(person), { method: METHOD, parameters, more: true }, NEVER, onEnding);
    assert.ok(answer !== undefined && Symbol.asyncIterator in answer);
    this.#answer = answer;
  }

  /** Starts to watch, and receives the initial state. */
  static async start(core: Core, person: Person, parameters: WatchIn = {}): Promise<WatchingClient> {
    const watching = new WatchingClient(core, person, parameters);
    while (!(await watching.nextReply()).settled);
    return watching;
  }

  /** Returns the next reply. */
  async nextReply(): Promise<WatchOut> {
    const reply = await this.#rawReply();
    assert.equal(reply.error, undefined, JSON.stringify(reply));
    assert.equal(reply.continues, true, 'a watch has no end');
    const reported = reply.parameters as WatchOut;
    this.#remember(reported);
    return reported;
  }

  /** Receives replies until exactly these names of credentials and sets are known. */
  async until(names: readonly string[]): Promise<void> {
    const known = (): string => [...this.credentials.keys(), ...this.sets.keys()].toSorted().join(' ');
    while (known() !== [...names].toSorted().join(' ')) await this.nextReply();
  }

  /** Asserts that nothing comes for long enough that something would have. */
  async assertSilent(): Promise<void> {
    this.#next ??= this.#answer.next();
    const said = await Promise.race([this.#next.then(({ value }) => value), pause(100, 'nothing')]);
    assert.equal(said, 'nothing', JSON.stringify(said));
  }

  /** Returns the error with which the watch ends. */
  async failure(): Promise<string | undefined> {
    for (;;) {
      const { error } = await this.#rawReply();
      if (error !== undefined) return error.replace(`${INTERFACE_NAME}.`, '');
    }
  }

  /** Receives no more replies, like a closed connection. */
  end(): void {
    for (const callback of this.#endCallbacks) callback();
  }

  /** Stops without waiting for an end. */
  async leave(): Promise<void> {
    this.end();
    await this.failure();
  }

  async #rawReply(): Promise<Reply> {
    const { value, done } = await (this.#next ?? this.#answer.next());
    this.#next = undefined;
    assert.ok(done !== true && value !== undefined, 'the stream has ended');
    checkReply(METHOD, value);
    this.replies += 1;
    return value;
  }

  #remember({ credentials, sets, vanished }: WatchOut): void {
    for (const credential of credentials) {
      const key = keyOf(credential.owner, credential.name);
      assert.notDeepEqual(this.credentials.get(key), credential, 'told twice');
      this.credentials.set(key, credential);
    }
    for (const set of sets) {
      const key = `set:${keyOf(set.owner, set.set)}`;
      assert.notDeepEqual(this.sets.get(key), set, 'told twice');
      this.sets.set(key, set);
    }
    for (const { kind, name, owner } of vanished) {
      const wasKnown =
        kind === 'set' ? this.sets.delete(`set:${keyOf(owner, name)}`) : this.credentials.delete(keyOf(owner, name));
      assert.ok(wasKnown, `${kind} ${name} was never told of`);
    }
  }
}

function keyOf(owner: number, name: string): string {
  return owner === 0 ? name : `${owner}/${name}`;
}
