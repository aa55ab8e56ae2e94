import { dirname, normalize } from 'node:path';
import { isTemplate, isUnitName, templateOf } from '../../../src/units.ts';
import type { UnitScan } from './facts.ts';
import { expandSpecifiers } from './specifiers.ts';
import { listValues, type UnitFile } from './unit-file.ts';

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

const SETTINGS = ['LoadCredential', 'LoadCredentialEncrypted'] as const;
const SOCKET_NAMES: readonly string[] = ['load', 'load-encrypted'];

/** Units without a file of their own: a drop-in for all of a type, or for all that begin alike (systemd.unit(5)). */
function isForSeveral(unit: string): boolean {
  return !unit.includes('.') || /-\.[a-z]+$/.test(unit);
}

/** What units load from the sockets in a folder, and the drop-ins of several units that cannot be judged. */
export function loadsOf(scan: UnitScan, folder: string): { loads: Load[]; unresolved: string[] } {
  const byUnit = new Map<string, UnitFile[]>();
  for (const file of scan.files) byUnit.set(file.unit, [...(byUnit.get(file.unit) ?? []), file]);
  const started = new Set<string>();
  for (const instance of [...scan.instances, ...byUnit.keys()]) {
    const template = templateOf(instance);
    const files = template === undefined ? undefined : byUnit.get(template);
    if (template === undefined || files === undefined || started.has(instance)) continue;
    byUnit.set(instance, [...files, ...(byUnit.get(instance) ?? [])]);
    started.add(instance).add(template);
  }
  const loads: Load[] = [];
  const unresolved: string[] = [];
  for (const [unit, files] of byUnit) {
    const own = SETTINGS.flatMap((setting) => loadsBySetting(unit, files, setting, folder));
    // A template that is started is judged by its instances.
    if (own.length === 0 || (isTemplate(unit) && started.has(unit))) continue;
    if (isForSeveral(unit) || !isUnitName(unit)) unresolved.push(own[0]?.path ?? unit);
    else loads.push(...own);
  }
  return { loads, unresolved };
}

function loadsBySetting(
  unit: string,
  files: readonly UnitFile[],
  setting: (typeof SETTINGS)[number],
  folder: string,
): Load[] {
  const withPaths = files.flatMap(({ path, assignments }) => assignments.map((assignment) => ({ path, assignment })));
  const kept = listValues(
    withPaths.map(({ assignment }) => assignment),
    setting,
  );
  const loads = new Map<string, Load>();
  for (const value of kept) {
    const colon = value.indexOf(':');
    const rawId = value.slice(0, colon);
    const socket = expandSpecifiers(value.slice(colon + 1), unit);
    if (colon <= 0 || socket === undefined || !isOurSocket(socket, folder)) continue;
    const path = withPaths.find(({ assignment }) => assignment.key === setting && assignment.value === value)?.path;
    const isEncrypted = setting === 'LoadCredentialEncrypted';
    const id = expandSpecifiers(rawId, unit);
    loads.set(rawId, { unit, path: path ?? unit, rawId, id, isEncrypted, isIdle: isTemplate(unit) });
  }
  return [...loads.values()];
}

function isOurSocket(path: string, folder: string): boolean {
  // /var/run leads to /run on every host that systemd runs.
  const clean = normalize(path.trim()).replace(/^\/var\/run\//, '/run/');
  const name = SOCKET_NAMES.find((socket) => clean.endsWith(`/${socket}`));
  return name !== undefined && dirname(clean) === folder;
}
