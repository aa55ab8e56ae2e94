import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import type { Reply } from '../../../daemon/dispatch.ts';
import type { Gone } from '../../../daemon/gone.ts';
import { INTERFACE_NAME } from '../../../src/protocol/interface.generated.ts';
import type { WatchIn, WatchOut, WatchedCredential, WatchedSet } from '../../../src/protocol/interface.generated.ts';
import type { Core, Person } from '../core.ts';
import { checkReply } from '../reply-check.ts';

const METHOD = `${INTERFACE_NAME}.Watch`;

/** Somebody who watches, and who remembers what he was told; he insists that nothing is told twice or for nothing. */
export class Watching {
  readonly credentials: Map<string, WatchedCredential> = new Map();
  readonly sets: Map<string, WatchedSet> = new Map();
  /** Replies so far. */
  replies = 0;
  readonly #answer: AsyncGenerator<Reply, void, undefined>;
  readonly #end: Set<() => void> = new Set();
  #next: Promise<IteratorResult<Reply, void>> | undefined;

  constructor(core: Core, person: Person, parameters: WatchIn = {}) {
    const ending: Gone = (callback) => {
      this.#end.add(callback);
      return () => void this.#end.delete(callback);
    };
    const never: Gone = () => () => undefined;
    const answer = core.dispatch(core.caller(person), { method: METHOD, parameters, more: true }, never, ending);
    assert.ok(answer !== undefined && Symbol.asyncIterator in answer);
    this.#answer = answer;
  }

  /** Watches, and takes what there is now. */
  static async start(core: Core, person: Person, parameters: WatchIn = {}): Promise<Watching> {
    const watching = new Watching(core, person, parameters);
    while (!(await watching.take()).settled);
    return watching;
  }

  /** The next reply. */
  async take(): Promise<WatchOut> {
    const reply = await this.#reply();
    assert.equal(reply.error, undefined, JSON.stringify(reply));
    assert.equal(reply.continues, true, 'a watch has no end');
    const told = reply.parameters as WatchOut;
    this.#remember(told);
    return told;
  }

  /** Takes what comes until it is as it should be: the names that are known, of credentials and sets. */
  async until(names: readonly string[]): Promise<void> {
    const known = (): string => [...this.credentials.keys(), ...this.sets.keys()].toSorted().join(' ');
    while (known() !== [...names].toSorted().join(' ')) await this.take();
  }

  /** Insists that nothing comes in a time in which something would. */
  async assertSilent(): Promise<void> {
    this.#next ??= this.#answer.next();
    const said = await Promise.race([this.#next.then(({ value }) => value), pause(100, 'nothing')]);
    assert.equal(said, 'nothing', JSON.stringify(said));
  }

  /** The error that it ends with. */
  async failure(): Promise<string | undefined> {
    for (;;) {
      const { error } = await this.#reply();
      if (error !== undefined) return error.replace(`${INTERFACE_NAME}.`, '');
    }
  }

  /** Nothing more will be taken, as by a connection that is closed. */
  end(): void {
    for (const callback of this.#end) callback();
  }

  /** Stops without waiting for an end. */
  async leave(): Promise<void> {
    this.end();
    await this.failure();
  }

  async #reply(): Promise<Reply> {
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
