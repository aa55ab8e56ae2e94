import { CredentialError } from '../../../client/index.ts';
import type { CredentialClient } from '../../../client/index.ts';
import { LINE_LENGTH_MAX } from '../../../src/field-check.ts';
import type { Random } from '../random.ts';

/** The values of names in the daemon, as far as this writer knows; undefined for a name that does not exist. */
type Contents = ReadonlyMap<string, string | undefined>;

/** The fields of a set in this workload: all that a set of the provider `s3` requires. */
const FIELDS = ['backup_repo', 'access_key', 'secret_key', 'backup_password'] as const;

/** Lengths of values: within a page, across some pages of the WAL, and across many. */
const LENGTHS = [10, 900, 9000, 70_000] as const;

/** The number of single credentials that a writer keeps before it removes the oldest. */
const SINGLES_KEPT = 6;

/**
 * A client that writes without end, one call at a time, to names that no other client uses. It records what was
 * acknowledged, and the call under way, which may or may not have happened.
 */
export class Writer {
  readonly #id: number;
  readonly #random: Random;
  readonly #acknowledged: Map<string, string | undefined> = new Map();
  #underWay: Contents | undefined;
  #turn = 0;
  acknowledgements = 0;

  constructor(id: number, random: Random) {
    this.#id = id;
    this.#random = random;
  }

  /** Writes until the connection breaks, which is how it always ends. */
  async write(client: CredentialClient): Promise<never> {
    if (this.#underWay !== undefined) throw new TypeError('what was under way was not looked at');
    for (;;) {
      this.#turn += 1;
      const change = this.#nextChange();
      this.#underWay = change;
      const removed = [...change].filter(([, value]) => value === undefined).map(([name]) => name);
      const credentials = [...change].flatMap(([name, value]) => (value === undefined ? [] : [{ name, value }]));
      if (removed.length > 0) await client.call('Remove', { names: removed });
      else await client.call('Create', { credentials, replace: true });
      this.#settle(change);
      this.acknowledgements += 1;
    }
  }

  /**
   * Compares the store with what was acknowledged. Returns what is wrong, and takes what the store has as correct from
   * then on.
   */
  async verify(client: CredentialClient): Promise<string[]> {
    const wrong: string[] = [];
    const seen = new Map<string, string | undefined>();
    for (const name of new Set([...this.#acknowledged.keys(), ...(this.#underWay?.keys() ?? [])])) {
      seen.set(name, await read(client, name));
    }
    for (const [name, value] of seen) {
      if (this.#underWay?.has(name) === true) continue;
      if (value !== this.#acknowledged.get(name)) wrong.push(this.#describe(name, value, this.#acknowledged.get(name)));
    }
    const underWay = [...(this.#underWay ?? [])];
    const isBefore = underWay.every(([name]) => seen.get(name) === this.#acknowledged.get(name));
    const isAfter = underWay.every(([name, value]) => seen.get(name) === value);
    if (!isBefore && !isAfter) {
      const what = underWay.map(([name]) => this.#describe(name, seen.get(name), this.#acknowledged.get(name)));
      wrong.push(`a call that was under way happened in part: ${what.join('; ')}`);
    }
    this.#settle(seen);
    return wrong;
  }

  #settle(contents: Contents): void {
    for (const [name, value] of contents) this.#acknowledged.set(name, value);
    this.#underWay = undefined;
  }

  #nextChange(): Contents {
    const singles = [...this.#acknowledged]
      .filter(([name, value]) => value !== undefined && name.startsWith(`single-`))
      .map(([name]) => name);
    const oldest = singles[0];
    if (singles.length > SINGLES_KEPT && oldest !== undefined) return new Map([[oldest, undefined]]);
    if (this.#random.oneIn(3)) return new Map([[`single-${this.#id}-${this.#turn}`, this.#value('single')]]);
    const set = FIELDS.map((field) => `cio_torture${this.#id}_${field}`);
    const isThere = set.every((name) => this.#acknowledged.get(name) !== undefined);
    if (isThere && this.#random.oneIn(12)) return new Map(set.map((name) => [name, undefined]));
    return new Map(set.map((name, index) => [name, this.#value(FIELDS[index] ?? '')]));
  }

  /** Makes a value that contains its turn, so that a mix of two turns is noticed. */
  #value(field: string): string {
    const turn = `${this.#id}-${this.#turn}`;
    if (field === 'backup_repo') return `s3:https://s3.example.org/bucket-${turn}`;
    const length = this.#random.pick(LENGTHS);
    // A field of one line that is no secret takes no more.
    return `${field}-${turn}-`.padEnd(field === 'access_key' ? Math.min(length, LINE_LENGTH_MAX) : length, 'x');
  }

  #describe(name: string, seen: string | undefined, acknowledged: string | undefined): string {
    const show = (value: string | undefined): string => (value === undefined ? 'nothing' : value.slice(0, 40));
    return `${name} has ${show(seen)}; acknowledged was ${show(acknowledged)}`;
  }
}

/** Reads a value. A refusal is returned as a text that nobody stores. */
async function read(client: CredentialClient, name: string): Promise<string | undefined> {
  try {
    return (await client.call('Get', { name })).value ?? undefined;
  } catch (error) {
    if (!(error instanceof CredentialError)) throw error;
    return error.code === 'NotFound' ? undefined : `the refusal ${error.code}`;
  }
}
