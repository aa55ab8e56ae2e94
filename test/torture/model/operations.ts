import type { Random } from '../random.ts';
import { FIELDS } from './model.ts';
import type { Grantee, Model, Operation, Person } from './model.ts';

/** Two sets: one whose name is a provider's, so that it can be ready, and one without a provider. */
const SETS = ['aws', 'alpha'] as const;
const SINGLES = ['token', 'key.pem', 'a-b_c'] as const;
const NAMES: readonly string[] = [...SINGLES, ...SETS.flatMap((set) => FIELDS.map((field) => `cio_${set}_${field}`))];

/** A group that some of the users are in. */
export const GROUP = 4970;

/** All callers. */
export const PEOPLE: readonly Person[] = [
  { uid: 0, gids: [0], isAdministrator: true },
  { uid: 3001, gids: [3001], isAdministrator: false },
  { uid: 3002, gids: [3002, GROUP], isAdministrator: false },
  { uid: 3003, gids: [3003], isAdministrator: false },
];

/** One in so many calls names an owner, perhaps one whose credentials the caller may not see. */
const OWNER_NAMED_ONE_IN = 4;
const VERSIONS_ASKED = 14;

/** Returns a random call; many are refused. */
export function nextOperation(random: Random, model: Model, person: Person, turn: number): Operation {
  const owner = random.oneIn(OWNER_NAMED_ONE_IN) ? { owner: random.pick(PEOPLE).uid } : {};
  const home = owner.owner ?? (person.isAdministrator ? 0 : person.uid);
  const generation = (): number => random.below(model.generationOf(home) + 2);
  const operation = (method: string, parameters: object): Operation => ({
    method,
    parameters: { ...parameters, ...owner },
  });
  const target = (): string => (random.oneIn(2) ? random.pick(NAMES) : random.pick(SETS));
  const ifGeneration = random.oneIn(3) ? { ifGeneration: recent(random, model.generationOf(home)) } : {};
  switch (random.below(16)) {
    case 0:
    case 1:
    case 2:
      return operation('Create', {
        credentials: [credential(random, random.pick(NAMES), turn)],
        ...ifGeneration,
        ...(random.oneIn(4) ? {} : { replace: true }),
      });
    case 3: {
      const set = random.pick(SETS);
      const credentials = FIELDS.map((field) => credential(random, `cio_${set}_${field}`, turn));
      return operation('Create', { credentials, ...ifGeneration, ...(random.oneIn(3) ? {} : { replace: true }) });
    }
    case 4: {
      const credentials = Array.from({ length: 1 + random.below(4) }, () =>
        credential(random, random.pick(NAMES), turn),
      );
      return operation('Create', { credentials, replace: true });
    }
    case 5:
    case 6:
      return operation('Get', {
        name: random.pick(NAMES),
        ...(random.oneIn(2) ? { version: 1 + random.below(VERSIONS_ASKED) } : {}),
      });
    case 7:
    case 8:
      return operation('GetSet', { set: random.pick(SETS), allowIncomplete: random.oneIn(2) });
    case 9:
      return operation('History', { name: random.pick(NAMES) });
    case 10:
      return operation('Remove', {
        names: Array.from({ length: 1 + random.below(3) }, () => (random.oneIn(6) ? target() : random.pick(NAMES))),
        ...ifGeneration,
      });
    case 11:
    case 12:
      return operation('Rollback', {
        target: target(),
        ...(random.oneIn(3) ? { generation: generation() } : {}),
        ...(random.oneIn(4) ? { version: 1 + random.below(VERSIONS_ASKED) } : {}),
      });
    case 13:
      return operation('Grant', { target: target(), grantees: grantees(random) });
    case 14:
      return operation('Revoke', { target: target(), grantees: grantees(random) });
    default:
      if (random.oneIn(3)) return { method: 'Status', parameters: {} };
      return random.oneIn(4) ? { method: 'List', parameters: { allOwners: true } } : operation('List', {});
  }
}

/** Returns a generation that a client may have seen, mostly one of the last. */
function recent(random: Random, generation: number): number {
  return Math.max(0, generation - random.below(12));
}

/** @returns a value that is valid for its field, and tells when it was made */
function credential(random: Random, name: string, turn: number): { readonly name: string; readonly value: string } {
  const tell = `${turn}-${random.below(1_000_000)}`;
  if (name.endsWith('_backup_repo')) return { name, value: `s3:https://s3.example.org/bucket-${tell}` };
  if (name.endsWith('_access_key')) return { name, value: `AKIA${tell}` };
  return { name, value: `${tell}-`.padEnd(1 + random.below(300), 'x') };
}

function grantees(random: Random): Grantee[] {
  const anybody: readonly Grantee[] = [
    ...PEOPLE.map(({ uid }) => ({ uid })),
    { gid: GROUP },
    { unit: 'restic.service' },
    { unit: 'restic.service', missing: 'block' },
    { unit: 'restic@.service', missing: 'fail' },
  ];
  const some = Array.from({ length: 1 + random.below(2) }, () => random.pick(anybody));
  // A grantee named twice in one call, on different terms, is not tested here.
  const [first, second] = some;
  return first?.unit !== undefined && first.unit === second?.unit ? [first] : some;
}
