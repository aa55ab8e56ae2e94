import { formatTableOrRecords, type Column } from '../table.ts';
import { formatAge } from '../time.ts';
import type { Listing, View } from './listing.ts';
import { formatSetState } from './set-state.ts';

const SET_COLUMNS: readonly Column[] = [
  { title: 'SET' },
  { title: 'PROVIDER' },
  { title: 'OWNER' },
  { title: 'CHANGED' },
  { title: 'STATE', isWrapped: true },
];

const CREDENTIAL_COLUMNS: readonly Column[] = [
  { title: 'NAME' },
  { title: 'VERSION' },
  { title: 'CHANGED' },
  { title: 'OWNER' },
  { title: 'VALUE', isElastic: true },
];

/** Formats the sets, then the credentials. */
export function formatTables({ credentials, sets }: Listing, { nowMs, width, ownerOf }: View): string {
  const setRows = sets.map((set) => [
    set.set,
    set.provider ?? '-',
    ownerOf(set.owner),
    formatAge(set.changed, nowMs),
    formatSetState(set, nowMs),
  ]);
  const rows = credentials.map(({ name, version, changed, owner, value }) => [
    name,
    `${version}`,
    formatAge(changed, nowMs),
    ownerOf(owner),
    value ?? '-',
  ]);
  return joinTables(
    [
      [SET_COLUMNS, setRows],
      [CREDENTIAL_COLUMNS, rows],
    ],
    width,
  );
}

/** Formats tables with an empty line between them; tables without rows are omitted. */
export function joinTables(
  tables: readonly (readonly [columns: readonly Column[], rows: readonly (readonly string[])[]])[],
  width: number | undefined,
): string {
  return tables
    .filter(([, rows]) => rows.length > 0)
    .map(([columns, rows]) => formatTableOrRecords(columns, rows, width))
    .join('\n');
}
