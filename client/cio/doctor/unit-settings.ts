import { basename } from 'node:path';
import { isTemplate, templateOf } from '../../../src/units.ts';
import type { ScannedFile, UnitScan } from './facts.ts';
import type { UnitFile } from './unit-file.ts';

/** An assignment that is in effect, and the file that makes it. */
export interface Setting {
  readonly path: string;
  readonly key: string;
  readonly value: string;
}

/** Settings that systemd keeps in one list. An empty value of any of them clears the list (systemd.exec(5)). */
const LISTS: readonly (readonly string[])[] = [
  ['LoadCredential', 'LoadCredentialEncrypted'],
  ['SetCredential', 'SetCredentialEncrypted'],
  ['ImportCredential'],
  ['EnvironmentFile'],
];

/**
 * Returns the settings of the units, by the unit's name. A template is left out where the scan has an instance of it:
 * the template's files apply to that.
 */
export function settingsOfUnits({ files, units }: UnitScan): Map<string, Setting[]> {
  const byName = Map.groupBy(files, ({ unit }) => unit);
  const instantiated = new Set(units.map(templateOf));
  const own = units.filter((unit) => !isTemplate(unit) || !instantiated.has(unit));
  return new Map(own.map((unit) => [unit, settingsIn(unit, filesOf(unit, byName))]));
}

/**
 * Returns the settings of a unit that its files make, without those that a later empty value clears.
 *
 * @param files in the order in which systemd applies them
 */
export function settingsIn(unit: string, files: readonly UnitFile[]): Setting[] {
  // The section is named as the type of the unit. systemd ignores the settings in all others.
  const type = typeOf(unit);
  const sectionOfType = type.charAt(0).toUpperCase() + type.slice(1);
  let settings: Setting[] = [];
  for (const { path, assignments } of files) {
    for (const { section, key, value } of assignments) {
      const list = LISTS.find((keys) => keys.includes(key));
      if (section !== sectionOfType || list === undefined) continue;
      if (value === '') settings = settings.filter((setting) => !list.includes(setting.key));
      else settings.push({ path, key, value });
    }
  }
  return settings;
}

/**
 * Returns the files that apply to a unit, in the order in which systemd applies them: the unit file, then the drop-ins
 * by name. Of drop-ins with one name, the first one counts: those for the whole type come last, and the others are in
 * the order of their folders, and within a folder in that of {@link dropInNames}.
 */
function filesOf(unit: string, byName: ReadonlyMap<string, readonly ScannedFile[]>): ScannedFile[] {
  const [unitFile] = [unit, templateOf(unit) ?? ''].flatMap((name) => filesFor(name, false, byName));
  const specific = [...dropInNames(unit)].flatMap((name) => filesFor(name, true, byName));
  const candidates = [
    ...specific.toSorted((one, other) => one.folder - other.folder),
    ...filesFor(typeOf(unit), true, byName),
  ];
  const dropIns = new Map<string, ScannedFile>();
  for (const file of candidates) {
    const name = basename(file.path);
    if (!dropIns.has(name)) dropIns.set(name, file);
  }
  const sorted = [...dropIns].toSorted(([one], [other]) => (one < other ? -1 : 1)).map(([, file]) => file);
  return [...(unitFile === undefined ? [] : [unitFile]), ...sorted];
}

function filesFor(
  name: string,
  isDropIn: boolean,
  byName: ReadonlyMap<string, readonly ScannedFile[]>,
): readonly ScannedFile[] {
  return byName.get(name)?.filter((file) => file.isDropIn === isDropIn) ?? [];
}

/**
 * Returns the names whose drop-ins apply to a unit, most specific first: its own, those of its template, and those of
 * its name cut off after a dash, as `a-.service` for `a-b.service` (systemd.unit(5)).
 */
function dropInNames(unit: string): Set<string> {
  const template = templateOf(unit);
  const [, prefix = '', instance = ''] = /^([^@]*)(@.+)?(?:@?\.[a-z]+)$/.exec(unit) ?? [];
  const dash = prefix.replace(/-$/, '').lastIndexOf('-');
  const cut = dash > 0 ? `${prefix.slice(0, dash + 1)}${instance}.${typeOf(unit)}` : undefined;
  return new Set([unit, ...[template, cut].flatMap((name) => (name === undefined ? [] : [...dropInNames(name)]))]);
}

function typeOf(unit: string): string {
  return unit.slice(unit.lastIndexOf('.') + 1);
}
