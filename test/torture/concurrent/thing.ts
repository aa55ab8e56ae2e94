/**
 * The specification of what many clients share, after the comments of the interface: a set or a single credential, and
 * its grant.
 */

/** A kept version; the generation of a change whose reply was lost is unknown. */
interface Version {
  readonly version: number;
  readonly generation: number | undefined;
  readonly value: string;
}

interface Contents {
  /** By name; the oldest version first. */
  readonly kept: Readonly<Record<string, readonly Version[]>>;
  /** The generation of the last removal that left a part of the set; 0 for none, undefined if unknown. */
  readonly removed: number | undefined;
  readonly isGranted: boolean;
}

export interface State extends Contents {
  /** The contents of the last copy. */
  readonly copy?: Contents;
  /**
   * Whether a restore happened. Clients may have seen generations that it took back; which ones depends on other
   * things.
   */
  readonly isRestored?: boolean;
}

type Apply = (state: State) => State | undefined;

export const NOTHING: State = { kept: {}, removed: 0, isGranted: false };

/** The thing that a call is about. */
export interface Thing {
  /** Names all of it: the set's name or the credential's. */
  readonly target: string;
  readonly names: readonly string[];
  readonly isSet: boolean;
}

export interface Call {
  readonly method: string;
  readonly parameters: Readonly<Record<string, unknown>>;
  /** Made by the user who sees only what was granted. */
  readonly isStranger?: boolean;
}

/** The reply to a call; undefined if it was lost. */
export type Reply =
  | { readonly error?: string | undefined; readonly parameters?: Readonly<Record<string, unknown>> | undefined }
  | undefined;

const VERSIONS_KEPT = 10;
const BRIEF = 8;
const PREFIX = 'io.cio.Credentials.';

/** Errors that tell only that the thing is unchanged. */
const UNCHANGED: ReadonlySet<string> = new Set(['Locked', 'Busy']);

/** Methods without a lasting effect if the reply is lost. */
const READS: ReadonlySet<string> = new Set(['Get', 'GetSet', 'Backup']);

interface Saved {
  readonly name: string;
  readonly version: number;
}

/**
 * Returns a function from the state before a call to the state after it, which is undefined if the call is not answered
 * so in that state. A call whose reply was lost may also have been refused.
 */
export function applyCall(thing: Thing, { method, parameters, isStranger = false }: Call, reply: Reply): Apply {
  const code = reply?.error?.replace(PREFIX, '');
  const out = reply?.parameters ?? {};
  const generation = reply === undefined ? undefined : (out['generation'] as number);
  return (state) => {
    if (code !== undefined && UNCHANGED.has(code)) return state;
    if (reply === undefined && READS.has(method)) return state;
    const refusing = (...codes: readonly string[]): State | undefined =>
      reply === undefined || codes.includes(code ?? '') ? state : undefined;
    const isThere = (name: string): boolean => state.kept[name] !== undefined;
    const namesIn = (text: string): readonly string[] => (text === thing.target ? Object.keys(state.kept) : [text]);
    const isAny = thing.names.some(isThere);
    const isHidden = isStranger && !state.isGranted;
    /** Undefined if it cannot be known. */
    const isConflict = (names: readonly string[]): boolean | undefined => {
      const expected = parameters['ifGeneration'] as number | undefined;
      if (expected === undefined) return false;
      if (!isAny) return expected > 0;
      const actual = generationOf(state);
      if (actual !== undefined && actual > expected) return names.length > 0;
      return actual === undefined || (state.isRestored === true && actual < expected) ? undefined : false;
    };
    switch (method) {
      case 'Create': {
        const given = parameters['credentials'] as readonly { readonly name: string; readonly value: string }[];
        const conflict = isConflict(given.map(({ name }) => name));
        if (conflict === true) return refusing('Conflict');
        if (conflict === undefined && code === 'Conflict') return state;
        if (parameters['replace'] !== true && given.some(({ name }) => isThere(name))) return refusing('AlreadyExists');
        if (code !== undefined) return undefined;
        const values = given.map(({ name, value }) => ({ name, value: briefOf(value) }));
        return save(state, values, generation, out['saved'] as readonly Saved[] | undefined);
      }
      case 'Rollback': {
        const target = parameters['target'] as string;
        const versions = state.kept[target];
        if (versions === undefined) return refusing('NotFound');
        const before = versions.at(-2);
        if (before === undefined) return refusing('InvalidValue');
        if (code !== undefined) return undefined;
        const saved = out['saved'] as readonly Saved[] | undefined;
        return save(state, [{ name: target, value: before.value }], generation, saved);
      }
      case 'Remove': {
        const names = (parameters['names'] as readonly string[]).flatMap(namesIn);
        if (names.length === 0 || !names.every(isThere)) return refusing('NotFound');
        const conflict = isConflict(names);
        if (conflict === true) return refusing('Conflict');
        if (conflict === undefined && code === 'Conflict') return state;
        if (code !== undefined) return undefined;
        const left = Object.entries(state.kept).filter(([name]) => !names.includes(name));
        const isLeft = left.length > 0;
        return {
          ...state,
          kept: Object.fromEntries(left),
          removed: isLeft ? generation : 0,
          isGranted: isLeft && state.isGranted,
        };
      }
      case 'Grant':
        if (!isAny) return refusing('NotFound');
        return code === undefined ? { ...state, isGranted: true } : undefined;
      case 'Revoke':
        if (!isAny && !state.isGranted) return refusing('NotFound');
        if (code !== undefined || (reply !== undefined && out['revoked'] !== Number(state.isGranted))) return undefined;
        return { ...state, isGranted: false };
      case 'Get': {
        const current = state.kept[parameters['name'] as string]?.at(-1);
        if (current === undefined || isHidden) return refusing('NotFound');
        return isSame(current, { ...out, value: briefOf(out['value']) }) ? state : undefined;
      }
      case 'GetSet': {
        if (!isAny || isHidden) return refusing('NotFound');
        const members = (out['members'] ?? []) as readonly Readonly<Record<string, unknown>>[];
        const isWhole = members.length === Object.keys(state.kept).length;
        const told = { generation: generationOf(state) ?? generation };
        const areSame = members.every(({ name, value, version }) => {
          const current = state.kept[name as string]?.at(-1);
          return current !== undefined && current.value === briefOf(value) && current.version === version;
        });
        return code === undefined && isWhole && areSame && told.generation === generation ? state : undefined;
      }
      case 'Backup': {
        const { kept, removed, isGranted } = state;
        return { ...state, copy: { kept, removed, isGranted } };
      }
      case 'Restore':
        // The answer of a daemon that stops; from any other it is not accepted.
        if (code === 'StorageFailed') return state;
        return code === undefined && state.copy !== undefined
          ? { ...state.copy, copy: state.copy, isRestored: true }
          : undefined;
      default:
        throw new TypeError(`nothing is known of ${method}`);
    }
  };
}

/**
 * Accepts the states in which a list or a watch can have reported this about a credential: with this version, or absent
 * for the client.
 */
export function applySight(
  name: string,
  seen: Readonly<Record<string, unknown>> | undefined,
  isStranger: boolean,
): Apply {
  return (state) => {
    const current = isStranger && !state.isGranted ? undefined : state.kept[name]?.at(-1);
    if (current === undefined || seen === undefined) return current === seen ? state : undefined;
    return isSame(current, { value: current.value, ...seen }) ? state : undefined;
  };
}

/** The same for a set, whose fields are those of one moment. */
export function applySetSight(
  seen: { readonly generation: number; readonly fields?: readonly string[] | undefined },
  isStranger: boolean,
): Apply {
  return (state) => {
    if (isStranger && !state.isGranted) return undefined;
    const generation = generationOf(state) ?? seen.generation;
    const names = Object.keys(state.kept).toSorted();
    if (generation !== seen.generation || names.length === 0) return undefined;
    return seen.fields === undefined || seen.fields.toSorted().join() === names.join() ? state : undefined;
  };
}

/** Shortens a value for comparison. Some values are long, and their beginnings are unique. */
export function briefOf(value: unknown): string {
  const text = String(value);
  return text.length <= BRIEF ? text : `${text.slice(0, BRIEF)}…${text.length}`;
}

function isSame({ version, generation, value }: Version, seen: Readonly<Record<string, unknown>>): boolean {
  if (seen['value'] !== value || seen['version'] !== version) return false;
  return generation === undefined || seen['generation'] === generation;
}

/** Returns the generation of the last change of the contents; undefined if it cannot be known. */
function generationOf({ kept, removed }: Contents): number | undefined {
  const all = [removed, ...Object.values(kept).map((versions) => versions.at(-1)?.generation)];
  return all.reduce((last, one) => (last === undefined || one === undefined ? undefined : Math.max(last, one)), 0);
}

function save(
  state: State,
  given: readonly { readonly name: string; readonly value: string }[],
  generation: number | undefined,
  saved: readonly Saved[] | undefined,
): State | undefined {
  const kept = { ...state.kept };
  for (const { name, value } of given) {
    const versions = kept[name] ?? [];
    const version = (versions.at(-1)?.version ?? 0) + 1;
    if (saved !== undefined && saved.find((one) => one.name === name)?.version !== version) return undefined;
    kept[name] = [...versions, { version, generation, value }].slice(-VERSIONS_KEPT);
  }
  // In one order, so that equal states have equal JSON.
  return { ...state, kept: Object.fromEntries(Object.entries(kept).toSorted(([a], [b]) => (a < b ? -1 : 1))) };
}
