import type { Grantee } from '../../src/protocol/interface.generated.ts';
import { usageError } from './command-error.ts';
import { resolveGroup, resolveUser } from './principals.ts';

/** The options that name the grantees. */
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

/** Reads the grantees from the options. @throws CommandError `Usage` if there are none, or one does not exist */
export function readGrantees({ unit, user, group }: GranteeValues): Grantee[] {
  const grantees: Grantee[] = [
    ...unit.map((name) => ({ unit: name })),
    ...user.map((name) => ({ uid: resolveUser(name) })),
    ...group.map((name) => ({ gid: resolveGroup(name) })),
  ];
  if (grantees.length > 0) return grantees;
  throw usageError('no unit, user or group is given', 'give one or more of --unit, --user and --group');
}

/** Formats grantees for a message: `unit restic.service and user 1000`. */
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
