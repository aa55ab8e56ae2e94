import type { Grantee } from '../../src/protocol/interface.generated.ts';
import { usageError } from './command-error.ts';
import { resolveGroup, resolveUser } from './principals.ts';

/** The options that name to whom something is granted. */
export const GRANTEE_OPTIONS = {
  unit: {
    type: 'string',
    value: 'UNIT',
    multiple: true,
    describe: 'A systemd unit: restic.service, or restic@.service for all its instances',
    completes: 'unit',
  },
  user: { type: 'string', value: 'USER|UID', multiple: true, describe: 'A user', completes: 'user' },
  group: { type: 'string', value: 'GROUP|GID', multiple: true, describe: 'The members of a group', completes: 'group' },
} as const;

interface GranteeValues {
  readonly unit: readonly string[];
  readonly user: readonly string[];
  readonly group: readonly string[];
}

/** @throws CommandError `Usage` without any, or for a name that nobody has */
export function readGrantees({ unit, user, group }: GranteeValues): Grantee[] {
  const grantees: Grantee[] = [
    ...unit.map((name) => ({ unit: name })),
    ...user.map((name) => ({ uid: resolveUser(name) })),
    ...group.map((name) => ({ gid: resolveGroup(name) })),
  ];
  if (grantees.length > 0) return grantees;
  throw usageError('it is not said to whom', 'give one or more of --unit, --user and --group');
}

/** The words for some grantees: `unit restic.service and user 1000`. */
export function formatGrantees(grantees: readonly Grantee[]): string {
  const words = grantees.map(({ unit, uid, gid, missing }) => {
    const waits = missing === 'block' ? ', which waits for it' : '';
    return typeof unit === 'string'
      ? `unit ${unit}${waits}`
      : typeof uid === 'number'
        ? `user ${uid}`
        : `group ${gid ?? '?'}`;
  });
  return words.join(' and ');
}
