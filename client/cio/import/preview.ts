import type { Plan } from '../../../src/import/plan.ts';
import { placeOf } from '../../../src/import/plan.ts';
import { fieldOf } from '../../../src/providers/registry.ts';
import { membershipOf, missingOf, providerOf } from '../../../src/sets.ts';
import type { Session } from '../session.ts';
import { formatTable } from '../table.ts';
import { terminalWidth } from '../terminal.ts';

/** The outcome of storing a plan, given what is stored already. It contains no secrets. */
export interface ImportPreview {
  readonly sets: readonly {
    readonly set: string;
    readonly provider: string | undefined;
    /** The fields that are imported. */
    readonly fields: readonly string[];
    /** Those of `fields` that exist already. */
    readonly existing: readonly string[];
    readonly ready: boolean;
    /** The fields that the set still lacks after the import. */
    readonly missing: readonly string[];
    readonly source: string;
  }[];
  readonly credentials: readonly { readonly name: string; readonly exists: boolean; readonly source: string }[];
  readonly notImported: readonly { readonly what: string; readonly reason: string; readonly source: string }[];
}

/** Compares a plan with the contents of the store. */
export async function previewOf(session: Session, plan: Plan, owner: number | null): Promise<ImportPreview> {
  const names = plan.credentials.map(({ credential }) => credential.name);
  const sets = [...new Set(names.flatMap((name) => membershipOf(name)?.set ?? []))];
  const loose = plan.credentials.filter(({ credential }) => membershipOf(credential.name) === undefined);
  const patterns = [...sets, ...loose.map(({ credential }) => credential.name)];
  const there =
    patterns.length === 0
      ? []
      : (await session.withClient((client) => client.call('List', { patterns, owner }))).credentials;
  const values = new Map(there.filter(({ writable }) => writable).map(({ name, value }) => [name, value]));
  return {
    sets: sets.map((set) => {
      const members = plan.credentials.filter(({ credential }) => membershipOf(credential.name)?.set === set);
      const given = new Map(
        members.map(({ credential }) => [
          membershipOf(credential.name)?.field ?? '',
          'value' in credential ? credential.value : undefined,
        ]),
      );
      const before = new Map(
        [...values].flatMap(([name, value]) => {
          const member = membershipOf(name);
          return member?.set === set ? [[member.field, value ?? undefined] as const] : [];
        }),
      );
      const after = new Map([...before, ...given]);
      const provider = providerOf(set, after.get('provider'));
      const missing = missingOf(provider, new Set(after.keys()), after.get('use_iam'));
      return {
        set,
        provider: provider?.id,
        fields: [...given.keys()],
        existing: [...given.keys()].filter((field) => before.has(field)),
        ready: missing.length === 0,
        missing,
        source: placeOf(members[0] ?? { source: '', line: undefined }),
      };
    }),
    credentials: loose.map((planned) => ({
      name: planned.credential.name,
      exists: values.has(planned.credential.name),
      source: placeOf(planned),
    })),
    notImported: plan.skipped.map(({ what, reason, ...place }) => ({ what, reason, source: placeOf(place) })),
  };
}

/** Formats the preview as a table for the terminal. */
export function formatPreview({ sets, credentials }: Pick<ImportPreview, 'sets' | 'credentials'>): string {
  const columns = [
    { title: 'NAME' },
    { title: 'PROVIDER' },
    { title: 'FIELDS' },
    { title: 'STATE' },
    { title: 'FROM' },
  ];
  const rows = [
    ...sets.map(({ set, provider, fields, existing, missing, source }) => [
      set,
      provider ?? '',
      fields.map((id) => (fieldOf(id, undefined)?.isSecret === false ? id : `${id}*`)).join(' '),
      [
        existing.length === 0 ? 'new' : `already exists: ${existing.join(' ')}`,
        missing.length === 0 ? 'ready' : `lacks ${missing.join(' ')}`,
      ].join('; '),
      source,
    ]),
    ...credentials.map(({ name, exists, source }) => [name, '', '', exists ? 'already exists' : 'new', source]),
  ];
  const table = rows.length === 0 ? '' : formatTable(columns, rows, terminalWidth());
  const key = sets.some(({ fields }) => fields.length > 0) ? '* a secret\n' : '';
  return table + key;
}
