import { isDeepStrictEqual } from 'node:util';
import { parseInterface } from '../../../src/protocol/idl.ts';
import { INTERFACE_DESCRIPTION } from '../../../src/protocol/interface.generated.ts';
import { BenchScope } from '../../bench/bench-scope.ts';
import {
  BOB,
  createTwoVersions,
  grantToPersonas,
  outcomeOf,
  PERSONAS,
  rightOf,
  user,
} from '../../daemon/access/personas.ts';
import type { Persona } from '../../daemon/access/personas.ts';
import { cgroups, makeCgroup, RawClient } from '../../daemon/access/raw-client.ts';
import type { Scope } from '../../support/scope.ts';
import { Breaches } from '../scenario.ts';
import type { Outcome, Torture } from '../scenario.ts';
import { ROWS, targetOf, verdictOf } from './rows.ts';
import type { Row } from './rows.ts';

/** Refusals that depend on the call, not on the caller. */
const OF_THE_CALL: readonly string[] = ['BadCopy', 'Busy'];

/** Returns all personas, including the user that the daemon runs as. */
export function everybody(daemonUid: number): readonly Persona[] {
  const daemonsUser: Persona = { who: 'the user of the daemon', isAdministrator: true, identity: user(daemonUid) };
  // Without write access to cgroups, the personas that are units are left out.
  return [daemonsUser, ...PERSONAS].filter(({ cgroup }) => cgroup === undefined || cgroups() === undefined);
}

function unitsLeftOut(): string | undefined {
  const missing = cgroups();
  return missing === undefined ? undefined : `without units, which needs ${missing}`;
}

/**
 * Has every persona make every call about its own, granted, foreign and missing credentials, and checks that exactly
 * the access rules apply.
 */
export async function matrix(socketPath: string, daemonUid: number, { progress }: Torture): Promise<Outcome> {
  const breaches = new Breaches();
  const { methods } = parseInterface(INTERFACE_DESCRIPTION);
  for (const method of methods.keys()) {
    if (!ROWS.some((row) => row.method === method)) breaches.add(`${method} has no row`);
  }
  await using scope = new BenchScope();
  const root = await RawClient.as(scope, socketPath, user(0));
  const personas = everybody(daemonUid);
  let calls = 0;
  for (const [index, persona] of personas.entries()) {
    await using life = new BenchScope();
    await renew(root);
    const speaker = await Speaker.of(life, socketPath, persona);
    for (const row of ROWS) {
      const own = `own${persona.identity.uid}`;
      for (const set of row.about === 'nothing' ? ['missing'] : [own, 'granted', 'foreign', 'missing']) {
        const client = await speaker.clientFor(row);
        if (set === own) await createTwoVersions(speaker.client, own);
        const wrong = await probe(client, root, persona, row, set);
        calls += 1;
        if (wrong !== undefined) breaches.add(`${persona.who}, ${row.method} of ${targetOf(row, set)}: ${wrong}`);
      }
    }
    progress(index + 1, personas.length);
  }
  return {
    what: 'access follows the rules: every persona, every method, for own, granted, foreign and missing names',
    count: calls,
    unit: 'calls',
    detail: `${personas.length} personas, ${methods.size} methods in ${ROWS.length} forms`,
    broken: breaches.sentences,
    partly: unitsLeftOut(),
  };
}

/**
 * Recreates the shared sets, as personas with the right to write add versions to them, and every persona must find the
 * same state.
 */
async function renew(root: RawClient): Promise<void> {
  await root.call('Remove', { names: ['granted', 'foreign'] });
  for (const set of ['granted', 'foreign']) await createTwoVersions(root, set);
  await grantToPersonas(root);
}

/** A persona with its connections. */
class Speaker {
  readonly client: RawClient;
  readonly #another: () => RawClient | Promise<RawClient>;

  private constructor(client: RawClient, another: () => RawClient | Promise<RawClient>) {
    this.client = client;
    this.#another = another;
  }

  static async of(scope: Scope, socketPath: string, persona: Persona): Promise<Speaker> {
    const { identity, cgroup: path, isConnectorGone = false } = persona;
    const cgroup = path === undefined ? undefined : makeCgroup(scope, path);
    const another = (): RawClient | Promise<RawClient> =>
      cgroup === undefined
        ? RawClient.as(scope, socketPath, identity)
        : RawClient.relayed(scope, socketPath, identity, { cgroup, isConnectorGone });
    return new Speaker(await another(), another);
  }

  /** A call whose replies do not end gets a connection of its own. */
  clientFor({ isStream }: Row): RawClient | Promise<RawClient> {
    return isStream === true ? this.#another() : this.client;
  }
}

/**
 * Makes one call.
 *
 * @returns what is wrong with the reply, if anything
 */
async function probe(
  client: RawClient,
  root: RawClient,
  persona: Persona,
  row: Row,
  set: string,
): Promise<string | undefined> {
  const right = rightOf(persona, set);
  const isOwn = set.startsWith('own');
  const isShared = set === 'granted' || set === 'foreign';
  // A removal by a persona with that right is left out, as the personas after this one need the set.
  if (row.harm === 'removes' && right === 'write' && isShared) return undefined;
  const target = targetOf(row, set);
  const owner = row.rule === 'store' && !isOwn ? { owner: 0 } : {};
  const flags = row.isStream === true ? ({ more: true } as const) : {};
  const reply = JSON.parse(await client.callRaw(row.method, { ...row.parameters(target), ...owner }, flags)) as {
    error?: string;
    parameters: Record<string, unknown>;
  };
  const verdict = verdictOf(row, persona, right, target, isOwn);
  const outcome = outcomeOf(reply) as { readonly error?: string; readonly fields?: object };
  if (row.method === 'Lock' && outcome.error === undefined) await root.call('Unlock');
  if (row.rule === 'store' && set === 'missing') await root.call('Remove', { names: [target] });
  if (row.method === 'AddSlot' && outcome.error === undefined) {
    await root.call('RemoveSlot', { id: (reply.parameters['slot'] as { id: string }).id });
  }
  const said = JSON.stringify(outcome);
  if (verdict.kind === 'refused') {
    const wanted = { error: verdict.error, fields: verdict.fields };
    return isDeepStrictEqual(outcome, wanted) ? undefined : `${said} instead of ${JSON.stringify(wanted)}`;
  }
  if (row.method === 'RemoveSlot') return outcome.error === 'NotFound' ? undefined : said;
  if (verdict.kind === 'done') {
    return outcome.error === undefined || OF_THE_CALL.includes(outcome.error) ? undefined : said;
  }
  if (outcome.error !== undefined) return said;
  if (row.method === 'Status') {
    const isTold = reply.parameters['administrator'] === true;
    const hasSlots = reply.parameters['slots'] !== undefined;
    return isTold === (persona.isAdministrator === true) && hasSlots === isTold ? undefined : said;
  }
  const count = (reply.parameters['credentials'] as readonly unknown[]).length;
  return count > 0 === verdict.isThere ? undefined : `it shows ${count} credentials`;
}

/** Checks that strangers get the same bytes about foreign names as about missing ones, for every way to name them. */
export async function sameBytes(socketPath: string, { progress }: Torture): Promise<Outcome> {
  const breaches = new Breaches();
  const strangers = everybody(0).filter(({ isAdministrator }) => isAdministrator !== true);
  const rows = ROWS.filter(({ about, rule }) => about !== 'nothing' && rule !== 'store');
  let pairs = 0;
  for (const [index, persona] of strangers.entries()) {
    await using life = new BenchScope();
    const speaker = await Speaker.of(life, socketPath, persona);
    for (const row of rows) {
      for (const owner of [undefined, 0, BOB, 4242]) {
        const said: string[] = [];
        for (const set of ['foreign', 'missing']) {
          const client = await speaker.clientFor(row);
          const parameters = { ...row.parameters(targetOf(row, set)), ...(owner === undefined ? {} : { owner }) };
          said.push(await client.callRaw(row.method, parameters, row.isStream === true ? { more: true } : {}));
        }
        const [foreign = '', missing = ''] = said;
        pairs += 1;
        if (foreign.replaceAll('foreign', 'missing') !== missing) {
          breaches.add(`${persona.who}, ${row.method} with owner ${owner}: ${foreign} and ${missing}`);
        }
      }
    }
    progress(index + 1, strangers.length);
  }
  return {
    what: 'replies about foreign names have the same bytes as replies about missing ones',
    count: pairs,
    unit: 'pairs',
    detail: `${strangers.length} personas, ${rows.length} forms, by 4 owners`,
    broken: breaches.sentences,
    partly: unitsLeftOut(),
  };
}

/** The number of sets that others add and remove between a stranger's looks. */
const FOREIGN_SETS = 40;

/** Checks that lists, counts and watches of strangers are the same however much others have. */
export async function sameCounts(socketPath: string): Promise<Outcome> {
  const breaches = new Breaches();
  await using scope = new BenchScope();
  const owners = [await RawClient.as(scope, socketPath, user(0)), await RawClient.as(scope, socketPath, user(BOB))];
  const strangers = everybody(0).filter(({ isAdministrator }) => isAdministrator !== true);
  let looks = 0;
  const names = Array.from({ length: FOREIGN_SETS }, (_, index) => `cio_crowd${index}_access_key`);
  const look = async (): Promise<Map<string, string>> => {
    const seen = new Map<string, string>();
    for (const persona of strangers) {
      await using life = new BenchScope();
      const { client } = await Speaker.of(life, socketPath, persona);
      // Watch is last, as its replies do not end.
      for (const method of ['List', 'Status', 'Watch']) {
        const flags = method === 'Watch' ? ({ more: true } as const) : {};
        seen.set(`${persona.who}, ${method}`, await client.callRaw(method, {}, flags));
        looks += 1;
      }
    }
    return seen;
  };
  const before = await look();
  const credentials = names.map((name) => ({ name, value: 'crowd' }));
  for (const owner of owners) await owner.call('Create', { credentials });
  const during = await look();
  for (const owner of owners) await owner.call('Remove', { names });
  const after = await look();
  for (const [what, bytes] of before) {
    if (during.get(what) !== bytes) breaches.add(`${what}: ${bytes} before, ${during.get(what) ?? ''} during`);
    if (after.get(what) !== bytes) breaches.add(`${what}: it is another one afterwards`);
  }
  return {
    what: 'lists, counts and watches have the same bytes, however much others have',
    count: looks,
    unit: 'looks',
    detail: `before, with and after ${owners.length * FOREIGN_SETS} more sets of others`,
    broken: breaches.sentences,
    partly: unitsLeftOut(),
  };
}
