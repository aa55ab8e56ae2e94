/**
 * The specification of credentials, versions, sets and grants, kept in memory. It is written after the comments of the
 * interface and docs/protocol.md, and shares no code with the daemon.
 */

/** A caller. */
export interface Person {
  readonly uid: number;
  readonly gids: readonly number[];
  readonly isAdministrator: boolean;
}

/** A call of the interface. */
export interface Operation {
  readonly method: string;
  readonly parameters: Readonly<Record<string, unknown>>;
}

/** The expected outcome of a call: its reply, without times, or its error. */
export type Expected =
  | { readonly reply: Readonly<Record<string, unknown>> }
  | { readonly error: string; readonly fields: Readonly<Record<string, unknown>> | undefined };

export interface Grantee {
  readonly uid?: number;
  readonly gid?: number;
  readonly unit?: string;
  readonly missing?: 'fail' | 'block';
}

interface Version {
  readonly version: number;
  readonly generation: number;
  readonly value: string;
  readonly changedBy: number;
  readonly restoredFrom?: number;
}

interface Credential {
  readonly name: string;
  readonly createdBy: number;
  /** Oldest first. */
  versions: Version[];
}

/** The credentials of one owner. */
interface Space {
  readonly owner: number;
  generation: number;
  readonly credentials: Map<string, Credential>;
  /** For each set, the generation of the last removal that left a part of it. */
  readonly removals: Map<string, number>;
}

type Target =
  | { readonly kind: 'name'; readonly space: Space; readonly name: string; readonly members: readonly Credential[] }
  | { readonly kind: 'set'; readonly space: Space; readonly name: string; readonly members: readonly Credential[] };

/** The owner of the credentials that administrators share. */
const SHARED = 0;
const VERSIONS_KEPT = 10;

/** The fields of this workload; a ready set has all of them, and a provider. */
export const FIELDS = ['backup_repo', 'access_key', 'secret_key', 'backup_password'] as const;
const PUBLIC_FIELDS: readonly string[] = ['backup_repo', 'access_key'];
/** The names of sets in this workload that name a provider. */
const PROVIDERS: readonly string[] = ['aws'];

class Refusal extends Error {
  readonly fields: Readonly<Record<string, unknown>> | undefined;

  /** @param fields undefined if the interface leaves them open */
  constructor(code: string, fields?: Readonly<Record<string, unknown>>) {
    super(code);
    this.fields = fields;
  }
}

export class Model {
  readonly #spaces: Map<number, Space> = new Map();
  /** By target, and then by grantee. */
  readonly #grants: Map<string, Map<string, Grantee>> = new Map();

  /** Performs a call on the model, and returns what the daemon must answer. */
  perform(person: Person, { method, parameters }: Operation): Expected {
    try {
      return { reply: this.#perform(person, method, parameters) };
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      return { error: error.message, fields: error.fields };
    }
  }

  /** Returns the generation of an owner's credentials. */
  generationOf(owner: number): number {
    return this.#space(owner).generation;
  }

  /** Yields all current values. */
  *values(): Generator<{ readonly owner: number; readonly name: string; readonly value: string }> {
    for (const { owner, credentials } of this.#spaces.values()) {
      for (const credential of credentials.values()) {
        yield { owner, name: credential.name, value: current(credential).value };
      }
    }
  }

  // The parameters are those that operations.ts generates.
  #perform(person: Person, method: string, given: Operation['parameters']): Record<string, unknown> {
    const owner = given['owner'] as number | undefined;
    const target = given['target'] as string;
    const grantees = given['grantees'] as readonly Grantee[];
    const ifGeneration = given['ifGeneration'] as number | undefined;
    switch (method) {
      case 'Create':
        return this.#create(person, given['credentials'] as { name: string; value: string }[], {
          owner,
          ifGeneration,
          replace: given['replace'] === true,
        });
      case 'Get':
        return this.#get(person, given['name'] as string, given['version'] as number | undefined, owner);
      case 'GetSet':
        return this.#getSet(person, given['set'] as string, given['allowIncomplete'] === true, owner);
      case 'Remove':
        return this.#remove(person, given['names'] as string[], ifGeneration, owner);
      case 'Rollback':
        return this.#rollback(person, this.#writable(person, target, owner), {
          version: given['version'] as number | undefined,
          generation: given['generation'] as number | undefined,
        });
      case 'History':
        return this.#history(person, given['name'] as string, owner);
      case 'Grant':
        return this.#grant(person, target, grantees, owner);
      case 'Revoke':
        return this.#revoke(person, target, grantees, owner);
      case 'List':
        return this.#list(person, owner, given['allOwners'] === true);
      case 'Status': {
        const { credentials, generation } = this.#space(homeOf(person));
        return { credentials: credentials.size, generation };
      }
      default:
        throw new TypeError(`the model knows no ${method}`);
    }
  }

  #create(
    person: Person,
    given: readonly { readonly name: string; readonly value: string }[],
    options: {
      readonly owner: number | undefined;
      readonly ifGeneration: number | undefined;
      readonly replace: boolean;
    },
  ): Record<string, unknown> {
    const space = this.#space(options.owner ?? homeOf(person));
    if (!mayWrite(person, space.owner)) throw new Refusal('AccessDenied', { right: 'write' });
    const names = given.map(({ name }) => name);
    if (new Set(names).size < names.length) throw new Refusal('InvalidName');
    requireGeneration(space, names, options.ifGeneration);
    const taken = names.find((name) => space.credentials.has(name));
    if (!options.replace && taken !== undefined) throw new Refusal('AlreadyExists', { name: taken });
    space.generation += 1;
    const saved = given.map(({ name, value }) => {
      const created = !space.credentials.has(name);
      return { name, version: save(space, name, person, { value }), created };
    });
    return { generation: space.generation, saved };
  }

  #get(person: Person, name: string, version: number | undefined, owner?: number): Record<string, unknown> {
    const { space, credential } = this.#find(person, name, owner);
    const wanted = version ?? current(credential).version;
    // A grantee may read the current version only.
    if (wanted !== current(credential).version && !mayWrite(person, space.owner)) {
      throw new Refusal('AccessDenied', { name, right: 'write' });
    }
    const found = credential.versions.find((one) => one.version === wanted);
    if (found === undefined) throw new Refusal('NotFound', { name });
    return { name, value: found.value, version: wanted, generation: found.generation };
  }

  #getSet(person: Person, set: string, allowIncomplete: boolean, owner?: number): Record<string, unknown> {
    const found = this.#findSet(person, set, owner);
    if (found === undefined) throw new Refusal('NotFound', { name: set });
    const { space, members } = found;
    const missing = missingOf(set, members);
    if (missing.length > 0 && !allowIncomplete) throw new Refusal('Incomplete', { set, missing });
    return {
      set,
      owner: space.owner,
      ...providerOf(set),
      generation: generationOfSet(space, set, members),
      ready: missing.length === 0,
      missing,
      members: members
        .map((credential) => {
          const { value, version } = current(credential);
          return { name: credential.name, field: fieldOf(credential.name), value, version };
        })
        .toSorted(byName),
    };
  }

  #remove(
    person: Person,
    names: readonly string[],
    ifGeneration: number | undefined,
    owner?: number,
  ): Record<string, unknown> {
    const targets = names.map((name) => this.#writable(person, name, owner));
    const [first] = targets;
    if (first === undefined) throw new Refusal('InvalidName');
    const { space } = first;
    const removed = [...new Set(targets.flatMap(({ members }) => members.map(({ name }) => name)))];
    requireGeneration(space, removed, ifGeneration);
    space.generation += 1;
    for (const name of removed) {
      space.credentials.delete(name);
      this.#grants.delete(grantKey(space, 'name', name));
      const set = setOf(name);
      if (set === undefined) continue;
      const isLeft = [...space.credentials.keys()].some((other) => setOf(other) === set);
      if (isLeft) space.removals.set(set, space.generation);
      else {
        space.removals.delete(set);
        this.#grants.delete(grantKey(space, 'set', set));
      }
    }
    return { generation: space.generation, removed: removed.toSorted() };
  }

  #rollback(
    person: Person,
    target: Target,
    { version, generation }: { readonly version: number | undefined; readonly generation: number | undefined },
  ): Record<string, unknown> {
    const { space, members } = target;
    if (version !== undefined && (generation !== undefined || target.kind === 'set')) throw new Refusal('InvalidValue');
    const before = Math.max(...members.map((member) => current(member).generation)) - 1;
    const wanted = members.map(({ versions }) => {
      if (generation !== undefined || target.kind === 'set') {
        return versions.findLast((one) => one.generation <= (generation ?? before));
      }
      return version === undefined ? versions.at(-2) : versions.find((one) => one.version === version);
    });
    const changes = members.map((member, index) => {
      const found = wanted[index];
      if (found === undefined) throw new Refusal('InvalidValue');
      return { member, found };
    });
    const real = changes.filter(({ member, found }) => found.version !== current(member).version);
    if (real.length > 0) space.generation += 1;
    const saved = real.map(({ member: { name }, found: { value, version: restoredFrom } }) => {
      return { name, version: save(space, name, person, { value, restoredFrom }), created: false };
    });
    return { generation: space.generation, saved: saved.toSorted(byName) };
  }

  #history(person: Person, name: string, owner?: number): Record<string, unknown> {
    const { space, credential } = this.#find(person, name, owner);
    if (!mayWrite(person, space.owner)) throw new Refusal('AccessDenied', { name, right: 'write' });
    const versions = credential.versions.toReversed().map(({ value, ...one }) => {
      return { ...one, size: value.length, current: one.version === current(credential).version };
    });
    return { name, versions };
  }

  #grant(person: Person, text: string, grantees: readonly Grantee[], owner?: number): Record<string, unknown> {
    const isAwaited = grantees.every(({ missing }) => missing === 'block');
    const { space, kind, name } = this.#grantTarget(person, text, owner, () => isAwaited);
    const key = grantKey(space, kind, name);
    const granted = this.#grants.get(key) ?? new Map<string, Grantee>();
    for (const { missing, ...whom } of grantees) {
      granted.set(granteeKey(whom), missing === 'block' ? { ...whom, missing } : whom);
    }
    this.#grants.set(key, granted);
    space.generation += 1;
    return { generation: space.generation };
  }

  #revoke(person: Person, text: string, grantees: readonly Grantee[], owner?: number): Record<string, unknown> {
    const hasGrants = (space: Space, kind: Target['kind'], name: string): boolean =>
      (this.#grants.get(grantKey(space, kind, name))?.size ?? 0) > 0;
    const { space, kind, name } = this.#grantTarget(person, text, owner, hasGrants);
    const granted = this.#grants.get(grantKey(space, kind, name));
    const keys = grantees.map((grantee) => granteeKey(grantee));
    const revoked = keys.filter((key) => granted?.delete(key) === true).length;
    space.generation += 1;
    return { generation: space.generation, revoked };
  }

  #list(person: Person, owner: number | undefined, allOwners: boolean): Record<string, unknown> {
    if (allOwners && !person.isAdministrator) throw new Refusal('AccessDenied', { right: 'administer' });
    const isMeant = (one: number): boolean => {
      if (owner !== undefined) return one === owner;
      return allOwners || !person.isAdministrator || one === SHARED;
    };
    const credentials = [];
    const sets = [];
    for (const space of [...this.#spaces.values()].filter((one) => isMeant(one.owner))) {
      const visible = [...space.credentials.values()].filter(({ name }) => this.#mayRead(person, space, name));
      for (const credential of visible) credentials.push(this.#listed(person, space, credential));
      for (const set of new Set(visible.flatMap(({ name }) => setOf(name) ?? []))) {
        const members = visible.filter(({ name }) => setOf(name) === set);
        const missing = missingOf(set, members);
        sets.push({
          set,
          owner: space.owner,
          ...providerOf(set),
          ready: missing.length === 0,
          missing,
          fields: members.map(({ name }) => fieldOf(name)).toSorted(),
          generation: generationOfSet(space, set, members),
          ...this.#grantsShown(person, space, 'set', set),
        });
      }
    }
    return { credentials, sets, damaged: 0 };
  }

  #listed(person: Person, space: Space, credential: Credential): Record<string, unknown> {
    const { name, createdBy } = credential;
    const { version, generation, value } = current(credential);
    const set = setOf(name);
    const field = fieldOf(name);
    return {
      name,
      owner: space.owner,
      createdBy,
      version,
      generation,
      size: value.length,
      writable: mayWrite(person, space.owner),
      ...(set === undefined ? {} : { set, field }),
      ...(PUBLIC_FIELDS.includes(field) ? { value } : {}),
      ...this.#grantsShown(person, space, 'name', name),
    };
  }

  #grantsShown(person: Person, space: Space, kind: Target['kind'], name: string): object {
    if (!mayWrite(person, space.owner)) return {};
    return { grants: [...(this.#grants.get(grantKey(space, kind, name))?.values() ?? [])] };
  }

  /** Finds a credential by name: the caller's own, then the shared one if granted; with an owner, that owner's. */
  #find(person: Person, name: string, owner?: number): { readonly space: Space; readonly credential: Credential } {
    for (const space of this.#spacesFor(person, owner)) {
      const credential = space.credentials.get(name);
      if (credential !== undefined && this.#mayRead(person, space, name)) return { space, credential };
    }
    throw new Refusal('NotFound', { name });
  }

  /** Finds a set likewise, with the members that the caller may read. */
  #findSet(person: Person, set: string, owner?: number): Target | undefined {
    for (const space of this.#spacesFor(person, owner)) {
      const members = [...space.credentials.values()].filter(
        ({ name }) => setOf(name) === set && this.#mayRead(person, space, name),
      );
      if (members.length > 0) return { kind: 'set', space, name: set, members };
    }
    return undefined;
  }

  /** Finds the credential of that name, or else the set, for a change. */
  #writable(person: Person, text: string, owner?: number): Target {
    const target = this.#target(person, text, owner);
    if (target === undefined) throw new Refusal('NotFound', { name: text });
    if (!mayWrite(person, target.space.owner)) throw new Refusal('AccessDenied', { name: text, right: 'write' });
    return target;
  }

  #target(person: Person, text: string, owner?: number): Target | undefined {
    for (const space of this.#spacesFor(person, owner)) {
      const credential = space.credentials.get(text);
      if (credential === undefined || !this.#mayRead(person, space, text)) continue;
      return { kind: 'name', space, name: text, members: [credential] };
    }
    return this.#findSet(person, text, owner);
  }

  /**
   * Finds the target of a grant. Administrators may grant a shared name before it exists, to grantees who wait for it.
   */
  #grantTarget(
    person: Person,
    text: string,
    owner: number | undefined,
    isAwaited: (space: Space, kind: Target['kind'], name: string) => boolean,
  ): Pick<Target, 'kind' | 'space' | 'name'> {
    if (this.#target(person, text, owner) !== undefined) return this.#writable(person, text, owner);
    const kind = PROVIDERS.includes(text.split('_')[0] ?? '') ? 'set' : 'name';
    const space = this.#space(SHARED);
    const isShared = person.isAdministrator && (owner ?? SHARED) === SHARED;
    if (!isShared || !isAwaited(space, kind, text)) throw new Refusal('NotFound', { name: text });
    return { kind, space, name: text };
  }

  #spacesFor(person: Person, owner: number | undefined): Space[] {
    if (owner !== undefined) return [this.#space(owner)];
    return [...new Set([homeOf(person), SHARED])].map((one) => this.#space(one));
  }

  #mayRead(person: Person, space: Space, name: string): boolean {
    if (mayWrite(person, space.owner)) return true;
    const set = setOf(name);
    const keys = [grantKey(space, 'name', name), ...(set === undefined ? [] : [grantKey(space, 'set', set)])];
    return keys.some((key) =>
      [...(this.#grants.get(key)?.values() ?? [])].some(
        ({ uid, gid }) => uid === person.uid || (gid !== undefined && person.gids.includes(gid)),
      ),
    );
  }

  #space(owner: number): Space {
    let space = this.#spaces.get(owner);
    if (space === undefined) {
      space = { owner, generation: 0, credentials: new Map(), removals: new Map() };
      this.#spaces.set(owner, space);
    }
    return space;
  }
}

function homeOf({ uid, isAdministrator }: Person): number {
  return isAdministrator ? SHARED : uid;
}

function mayWrite(person: Person, owner: number): boolean {
  return person.isAdministrator || homeOf(person) === owner;
}

/** Throws Conflict if one of the names, or another member of their sets, changed after that generation. */
function requireGeneration(space: Space, names: readonly string[], expected: number | undefined): void {
  if (expected === undefined) return;
  const sets = new Set(names.flatMap((name) => setOf(name) ?? []));
  const concerned = [...space.credentials.values()].filter(
    ({ name }) => names.includes(name) || sets.has(setOf(name) ?? ''),
  );
  const changes = concerned.map((credential) => current(credential).generation);
  const actual = Math.max(0, ...changes, ...[...sets].map((set) => space.removals.get(set) ?? 0));
  // A credential, or a set, that has been removed since has changed as well.
  const isThere = (name: string): boolean =>
    concerned.some((one) => one.name === name || (setOf(name) !== undefined && setOf(one.name) === setOf(name)));
  const isGone = !names.every(isThere);
  if (isGone && expected > 0) throw new Refusal('Conflict', { expected, actual: 0 });
  if (actual > expected) throw new Refusal('Conflict', { expected, actual });
}

function save(space: Space, name: string, { uid }: Person, what: Pick<Version, 'value' | 'restoredFrom'>): number {
  const credential = space.credentials.get(name) ?? { name, createdBy: uid, versions: [] };
  const version = (credential.versions.at(-1)?.version ?? 0) + 1;
  const entry = { version, generation: space.generation, changedBy: uid, ...what };
  credential.versions = [...credential.versions, entry].slice(-VERSIONS_KEPT);
  space.credentials.set(name, credential);
  return version;
}

function current({ versions }: Credential): Version {
  const last = versions.at(-1);
  if (last === undefined) throw new TypeError('a credential has a version');
  return last;
}

function generationOfSet({ removals }: Space, set: string, members: readonly Credential[]): number {
  return Math.max(removals.get(set) ?? 0, ...members.map((member) => current(member).generation));
}

function setOf(name: string): string | undefined {
  const field = FIELDS.find((one) => name.startsWith('cio_') && name.endsWith(`_${one}`));
  return field === undefined ? undefined : name.slice('cio_'.length, -field.length - 1);
}

function fieldOf(name: string): string {
  return FIELDS.find((one) => name.startsWith('cio_') && name.endsWith(`_${one}`)) ?? '';
}

function providerOf(set: string): { readonly provider?: string } {
  return PROVIDERS.includes(set) ? { provider: set } : {};
}

function missingOf(set: string, members: readonly Credential[]): string[] {
  if (!PROVIDERS.includes(set)) return ['provider'];
  return FIELDS.filter((field) => members.every(({ name }) => fieldOf(name) !== field)).toSorted();
}

function grantKey({ owner }: Space, kind: Target['kind'], name: string): string {
  return `${owner} ${kind} ${name}`;
}

/** Returns the identity of a grantee without the terms of the grant. */
function granteeKey({ uid, gid, unit }: Grantee): string {
  return JSON.stringify([uid, gid, unit]);
}

function byName(a: { readonly name: string }, b: { readonly name: string }): number {
  return a.name < b.name ? -1 : a.name > b.name ? 1 : 0;
}
