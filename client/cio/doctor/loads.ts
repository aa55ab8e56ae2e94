import { normalize } from 'node:path';
import { isTemplate, isUnitName, templateOf } from '../../../src/units.ts';
import type { UnitScan } from './facts.ts';
import { expandSpecifiers } from './specifiers.ts';
import { isForSeveral, rankOf, sortFiles, type UnitFile } from './unit-file.ts';

/** A unit that loads a credential from one of the daemon's sockets. */
export interface Load {
  readonly unit: string;
  /** The file with the setting. */
  readonly path: string;
  /** The credential id as it is written in the file. */
  readonly rawId: string;
  /** The id with its specifiers expanded; undefined where that takes the instance's name, or data of the host. */
  readonly id: string | undefined;
  readonly isEncrypted: boolean;
  /** The unit is a template, and nothing starts an instance of it. */
  readonly isIdle: boolean;
}

/** The folder of the sockets, and the runtime directory that `%t` stands for. */
export interface Place {
  readonly folder: string;
  readonly runtime: string;
}

const SETTING = /^LoadCredential(?:Encrypted)?$/;
/** systemd ignores the settings in other sections. */
const SECTION = /^(?:Service|Socket|Mount|Swap)$/;
const SOCKET_NAMES: readonly string[] = ['load', 'load-encrypted'];

/** Returns what units load from a daemon's sockets, and the drop-ins that do so for units that are not known. */
export function loadsOf(scan: UnitScan, place: Place): { loads: Load[]; unresolved: string[] } {
  const byUnit = new Map<string, UnitFile[]>();
  for (const file of scan.files) byUnit.set(file.unit, [...(byUnit.get(file.unit) ?? []), file]);
  const started = new Set<string>();
  for (const instance of new Set([...scan.instances, ...byUnit.keys()])) {
    const template = templateOf(instance);
    const files = template === undefined ? undefined : byUnit.get(template);
    if (template === undefined || files === undefined) continue;
    byUnit.set(instance, mergeFiles(files, byUnit.get(instance) ?? []));
    if (!scan.absent.includes(instance)) started.add(template);
  }
  const loads: Load[] = [];
  const unresolved: string[] = [];
  for (const [unit, files] of byUnit) {
    // The instances stand for a template that something starts.
    if (started.has(unit) || scan.absent.includes(unit)) continue;
    const own = loadsOfUnit(unit, files, place);
    const [first] = own;
    if (first !== undefined && (isForSeveral(unit) || !isUnitName(unit))) unresolved.push(first.path);
    else loads.push(...own);
  }
  return { loads, unresolved };
}

/** Merges the files of a template and of its instance: an instance's file replaces the template's of the same name. */
function mergeFiles(template: readonly UnitFile[], own: readonly UnitFile[]): UnitFile[] {
  const hidden = new Set(own.map(rankOf));
  return sortFiles([...template.filter((file) => !hidden.has(rankOf(file))), ...own]);
}

function loadsOfUnit(unit: string, files: readonly UnitFile[], { folder, runtime }: Place): Load[] {
  const loads = new Map<string, Load>();
  for (const { path, assignments } of files) {
    for (const { section, key, value } of assignments) {
      if (!SETTING.test(key) || !SECTION.test(section)) continue;
      // Both settings fill one list. An empty value of either clears it, and the last entry for an id wins.
      if (value === '') loads.clear();
      const colon = value.indexOf(':');
      const rawId = value.slice(0, colon === -1 ? undefined : colon);
      const id = expandSpecifiers(rawId, unit, runtime);
      const socket = expandSpecifiers(value.slice(rawId.length + 1), unit, runtime);
      const isEncrypted = key !== 'LoadCredential';
      loads.delete(id ?? rawId);
      if (rawId === '' || socket === undefined || !isOurSocket(socket, folder)) continue;
      loads.set(id ?? rawId, { unit, path, rawId, id, isEncrypted, isIdle: isTemplate(unit) });
    }
  }
  return [...loads.values()];
}

function isOurSocket(path: string, folder: string): boolean {
  // /var/run is a link to /run on every host that runs systemd.
  const clean = normalize(path).replace(/^\/var\/run\//, '/run/');
  return SOCKET_NAMES.some((socket) => clean === `${folder}/${socket}`);
}
