import path from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { BenchScope } from '../../bench/bench-scope.ts';
import { DAEMON_COMMAND } from '../../bench/servers.ts';
import { RawClient } from '../../daemon/access/raw-client.ts';
import { startDaemon } from '../../support/daemon.ts';
import type { Daemon } from '../../support/daemon.ts';
import { root, skipUnless } from '../../support/requirements.ts';
import type { Scope } from '../../support/scope.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { Model } from '../model/model.ts';
import type { Expected, Operation, Person } from '../model/model.ts';
import { nextOperation, PEOPLE } from '../model/operations.ts';
import { sameAs, telling } from '../model/replies.ts';
import { Breaches, outcomesOf } from '../scenario.ts';
import type { Outcome, Scenario } from '../scenario.ts';

/** The largest number of calls sent at once; changes sent together are committed together. */
const CALLS_AT_ONCE = 6;

/** The number of operations in the life of a daemon. */
const OPERATIONS_PER_LIFE = 700;

/** Makes all calls on credentials that users can make, and compares each reply with that of a model in memory. */
export const model: Scenario = {
  id: 'model',
  describe: 'operations of several users, with restarts, kills and rekeys between, against a model in memory',
  unavailable: () => skipUnless(root) || undefined,
  run({ scope, random, choose, progress }) {
    const world = new World(temporaryDirectory(scope, 'cio-model'));
    const breaches = new Breaches();
    const all = choose(200_000, 3000);
    let done = 0;
    let lives = 0;
    const work = async (): Promise<void> => {
      while (done < all && breaches.sentences.length === 0) {
        await using life = new BenchScope();
        const daemon = await world.start(life);
        const clients = await Promise.all(
          PEOPLE.map((person) =>
            RawClient.as(life, daemon.socketPath, identityOf(person)).then((client) => ({ person, client })),
          ),
        );
        lives += 1;
        for (const wrong of await world.verify(clients)) breaches.add(`after ${done} operations: ${wrong}`);
        const end = Math.min(all, done + OPERATIONS_PER_LIFE);
        while (done < end && breaches.sentences.length === 0) {
          const { person, client } = random.pick(clients);
          const operations = Array.from({ length: 1 + random.below(CALLS_AT_ONCE) }, (_, index) => {
            const operation = nextOperation(random, world.model, person, done + index);
            return { operation, expected: world.model.perform(person, operation) };
          });
          const wrong = await Promise.all(operations.map((one) => world.compare(client, person, one)));
          for (const sentence of wrong.flat()) breaches.add(`operation ${done}: ${sentence}`);
          done += operations.length;
          if (Math.floor(done / 100) > Math.floor((done - operations.length) / 100)) progress(Math.min(done, all), all);
        }
        for (const wrong of await disturb(clients, random.below(3))) breaches.add(wrong);
        // What was acknowledged must be there, no matter how the daemon ends.
        if (random.oneIn(2)) await daemon.stop();
        else daemon.service.signal('SIGKILL');
        await daemon.service.exited;
      }
    };
    return outcomesOf(work, () => [world.outcome(done, lives, breaches)]);
  },
};

/** A user with a connection. */
interface Speaker {
  readonly person: Person;
  readonly client: RawClient;
}

/** A store that outlives its daemons, and what it must have. */
class World {
  readonly model: Model = new Model();
  readonly #directory: string;
  readonly #counts: Map<string, number> = new Map();
  #refused = 0;

  constructor(directory: string) {
    this.#directory = directory;
  }

  start(scope: Scope): Promise<Daemon> {
    return startDaemon(scope, {
      command: DAEMON_COMMAND,
      // With the sockets of a daemon for all users, and without validations of its own.
      args: ['--system', '--validate-every', 'off'],
      stateDirectory: path.join(this.#directory, 'state'),
      runtimeDirectory: path.join(this.#directory, 'run'),
    });
  }

  async compare(
    client: RawClient,
    person: Person,
    { operation, expected }: { readonly operation: Operation; readonly expected: Expected },
  ): Promise<string[]> {
    const { method, parameters } = operation;
    const reply = await client.call(method, parameters);
    this.#counts.set(method, (this.#counts.get(method) ?? 0) + 1);
    if (reply.error !== undefined) this.#refused += 1;
    if (sameAs(method, reply, expected)) return [];
    const said = JSON.stringify(telling(method, reply));
    return [
      `${method} ${JSON.stringify(parameters)} of uid ${person.uid} gives ${said}, not ${JSON.stringify(expected)}`,
    ];
  }

  /** Reads everything, as an administrator. */
  async verify(clients: readonly Speaker[]): Promise<string[]> {
    const wrong: string[] = [];
    const [administrator] = clients;
    if (administrator === undefined) throw new TypeError('nobody is there');
    const { person, client } = administrator;
    const operation = { method: 'List', parameters: { allOwners: true } };
    wrong.push(...(await this.compare(client, person, { operation, expected: this.model.perform(person, operation) })));
    for (const { owner, name, value } of this.model.values()) {
      const { parameters } = await client.call('Get', { owner, name });
      if (parameters['value'] !== value) wrong.push(`${name} of ${owner} has another value`);
    }
    return wrong;
  }

  outcome(done: number, lives: number, breaches: Breaches): Outcome {
    const share = (100 * this.#refused) / Math.max(1, done);
    if (breaches.sentences.length === 0 && this.#counts.size < METHODS)
      breaches.add(`only ${[...this.#counts.keys()].join(', ')} were called`);
    return {
      what: 'every reply is that of a model in memory, for all users, through restarts, kills and rekeys',
      count: done,
      unit: 'operations',
      detail: `${this.#counts.size} methods, ${PEOPLE.length} users, ${share.toFixed(0)} % refused as they must be; ${lives} daemons`,
      broken: breaches.sentences,
    };
  }
}

/** The number of methods of the model. */
const METHODS = 10;

/** Does what administrators do now and then, which no user may notice. */
async function disturb([administrator]: readonly Speaker[], kind: number): Promise<string[]> {
  if (administrator === undefined) return [];
  const { client } = administrator;
  const calls = [['Rekey'], ['Lock', 'Unlock'], ['Fsck']][kind] ?? [];
  const wrong: string[] = [];
  for (const method of calls) {
    const { error, parameters } = await client.call(method);
    if (error !== undefined) wrong.push(`${method} fails: ${error}`);
    if (method === 'Fsck' && !isDeepStrictEqual(parameters['problems'], [])) wrong.push('fsck finds problems');
  }
  return wrong;
}

function identityOf({ uid, gids: [gid = uid, ...groups] }: Person): { uid: number; gid: number; groups: number[] } {
  return { uid, gid, groups };
}
