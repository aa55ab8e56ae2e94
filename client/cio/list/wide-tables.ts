import { formatGrantees } from '../grantees.ts';
import type { Column } from '../table.ts';
import { formatAge } from '../time.ts';
import type { Listing, View } from './listing.ts';
import { formatSetState } from './set-state.ts';
import { joinTables } from './tables.ts';

const SET_COLUMNS: readonly Column[] = [
  { title: 'SET' },
  { title: 'UUID' },
  { title: 'PROVIDER' },
  { title: 'OWNER' },
  { title: 'GENERATION' },
  { title: 'CHANGED' },
  { title: 'GRANTS' },
  { title: 'STATE', isWrapped: true },
];

const CREDENTIAL_COLUMNS: readonly Column[] = [
  { title: 'NAME' },
  { title: 'SET' },
  { title: 'VERSION' },
  { title: 'GENERATION' },
  { title: 'BYTES' },
  { title: 'CREATED' },
  { title: 'CHANGED' },
  { title: 'OWNER' },
  { title: 'GRANTS' },
  { title: 'VALUE', isElastic: true },
];

/** Formats the sets, then the credentials, with everything known about them. */
export function formatWideTables({ credentials, sets }: Listing, { nowMs, width, ownerOf }: View): string {
  const setRows = sets.map((set) => [
    set.set,
    set.uuid,
    set.provider ?? '-',
    ownerOf(set.owner),
    `${set.generation}`,
    formatAge(set.changed, nowMs),
    formatGrantees(set.grants ?? []) || '-',
    formatSetState(set, nowMs),
  ]);
  const rows = credentials.map((credential) => [
    credential.name,
    credential.set ?? '-',
    `${credential.version}`,
    `${credential.generation}`,
    `${credential.size}`,
    formatAge(credential.created, nowMs),
    formatAge(credential.changed, nowMs),
    ownerOf(credential.owner),
    formatGrantees(credential.grants ?? []) || '-',
    credential.value ?? '-',
  ]);
  return joinTables(
    [
      [SET_COLUMNS, setRows],
      [CREDENTIAL_COLUMNS, rows],
    ],
    width,
  );
}
