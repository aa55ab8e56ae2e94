import { normalize } from 'node:path';
import { isTemplate, isUnitName, templateOf } from '../../../src/units.ts';
import type { UnitScan } from './facts.ts';
import { expandSpecifiers } from './specifiers.ts';
import { isForSeveral, rankOf, sortFiles, type UnitFile } from './unit-file.ts';

/** A unit that loads a credential from one of the daemon's sockets. */
export interface Load {
  readonly unit: string;
  /** The file that says so. */
  readonly path: string;
  /** As it is written. */
  readonly rawId: string;
  /** With its specifiers replaced; undefined where that takes an instance, or something of the host. */
  readonly id: string | undefined;
  readonly isEncrypted: boolean;
  /** A template of which nothing starts an instance. */
  readonly isIdle: boolean;
}

/** Where the sockets are, and what systemd calls `%t`. */
export interface Place {
  readonly folder: string;
  readonly runtime: string;
}

const SETTING = /^LoadCredential(?:Encrypted)?$/;
/** Elsewhere systemd passes them over. */
const SECTION = /^(?:Service|Socket|Mount|Swap)$/;
const SOCKET_NAMES: readonly string[] = ['load', 'load-encrypted'];

/** What units load from the sockets of a daemon, and the drop-ins of several units that cannot be judged. */
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
    // A template that is started is judged by its instances.
    if (started.has(unit) || scan.absent.includes(unit)) continue;
    const own = loadsOfUnit(unit, files, place);
    const [first] = own;
    if (first !== undefined && (isForSeveral(unit) || !isUnitName(unit))) unresolved.push(first.path);
    else loads.push(...own);
  }
  return { loads, unresolved };
}

/** A file of an instance comes in the place of one of the same name of its template. */
function mergeFiles(template: readonly UnitFile[], own: readonly UnitFile[]): UnitFile[] {
  const hidden = new Set(own.map(rankOf));
  return sortFiles([...template.filter((file) => !hidden.has(rankOf(file))), ...own]);
}

function loadsOfUnit(unit: string, files: readonly UnitFile[], { folder, runtime }: Place): Load[] {
  const loads = new Map<string, Load>();
  for (const { path, assignments } of files) {
    for (const { section, key, value } of assignments) {
      if (!SETTING.test(key) || !SECTION.test(section)) continue;
      // Both settings fill one list: an empty one of either forgets it, and of one id the last counts.
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
  // /var/run leads to /run on every host that systemd runs.
  const clean = normalize(path).replace(/^\/var\/run\//, '/run/');
  return SOCKET_NAMES.some((socket) => clean === `${folder}/${socket}`);
}
