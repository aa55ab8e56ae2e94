/** What many clients share, as the comments of the interface have it: a set, or a single credential, and who was granted it. */

/** One kept version; the generation of a change whose answer was lost is not known. */
interface Version {
  readonly version: number;
  readonly generation: number | undefined;
  readonly value: string;
}

interface Contents {
  /** By name; the oldest version first. */
  readonly kept: Readonly<Record<string, readonly Version[]>>;
  /** The generation in which something of a set was removed of which something is left; 0 for none. */
  readonly removed: number | undefined;
  readonly isGranted: boolean;
}

export interface State extends Contents {
  /** Of the copy that was made last. */
  readonly copy?: Contents;
  /** Generations of what a restore took back may have been seen. Which ones they are depends on what else there is. */
  readonly isRestored?: boolean;
}

type Apply = (state: State) => State | undefined;

export const NOTHING: State = { kept: {}, removed: 0, isGranted: false };

/** The thing that a call is about. */
export interface Thing {
  /** What stands for all of it: the name of the set, or of the credential. */
  readonly target: string;
  readonly names: readonly string[];
  readonly isSet: boolean;
}

export interface Call {
  readonly method: string;
  readonly parameters: Readonly<Record<string, unknown>>;
  /** Made by somebody who sees of it what was granted to him. */
  readonly isStranger?: boolean;
}

/** Undefined where it was lost. */
export type Reply =
  | { readonly error?: string | undefined; readonly parameters?: Readonly<Record<string, unknown>> | undefined }
  | undefined;

const VERSIONS_KEPT = 10;
const BRIEF = 8;
const PREFIX = 'io.cio.Credentials.';

/** Answers that say nothing of the thing, but that it is as it was. */
const UNCHANGED: ReadonlySet<string> = new Set(['Locked', 'Busy']);

/** Of which nothing is left where the answer is lost. */
const READS: ReadonlySet<string> = new Set(['Get', 'GetSet', 'Backup']);

interface Saved {
  readonly name: string;
  readonly version: number;
}

/**
 * The state that a call leaves, if it is answered so; undefined where it is not answered so in that state. What was lost may
 * have been refused, too.
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
    /** Undefined where it cannot be known. */
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
        // By a daemon that stops; of any other it is not taken.
        if (code === 'StorageFailed') return state;
        return code === undefined && state.copy !== undefined
          ? { ...state.copy, copy: state.copy, isRestored: true }
          : undefined;
      default:
        throw new TypeError(`nothing is known of ${method}`);
    }
  };
}

/** For what a list or a watch tells of a credential: it was so at some moment, or not there for whom it was told. */
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

/** The same of a set: its fields are those of one moment. */
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

/** Values are long now and then, and begin with what no other one begins with. */
export function briefOf(value: unknown): string {
  const text = String(value);
  return text.length <= BRIEF ? text : `${text.slice(0, BRIEF)}…${text.length}`;
}

function isSame({ version, generation, value }: Version, seen: Readonly<Record<string, unknown>>): boolean {
  if (seen['value'] !== value || seen['version'] !== version) return false;
  return generation === undefined || seen['generation'] === generation;
}

/** Of the last change of what there is; undefined where it cannot be known. */
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
  // In one order, so that equal states are the same text.
  return { ...state, kept: Object.fromEntries(Object.entries(kept).toSorted(([a], [b]) => (a < b ? -1 : 1))) };
}
