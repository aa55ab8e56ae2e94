import { normalize } from 'node:path';
import { isTemplate } from '../../../src/units.ts';
import type { UnitScan } from './facts.ts';
import { expandSpecifiers } from './specifiers.ts';
import { settingsOfUnits, type Setting } from './unit-settings.ts';

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

const SOCKET_NAMES: readonly string[] = ['load', 'load-encrypted'];

/** Returns what units load from a daemon's sockets. */
export function loadsOf(scan: UnitScan, place: Place): Load[] {
  return [...settingsOfUnits(scan)].flatMap(([unit, settings]) => loadsOfUnit(unit, settings, place));
}

function loadsOfUnit(unit: string, settings: readonly Setting[], { folder, runtime }: Place): Load[] {
  const loads = new Map<string, Load>();
  for (const { path, key, value } of settings) {
    if (!key.startsWith('LoadCredential')) continue;
    const colon = value.indexOf(':');
    const rawId = value.slice(0, colon === -1 ? undefined : colon);
    const id = expandSpecifiers(rawId, unit, runtime);
    const socket = expandSpecifiers(value.slice(rawId.length + 1), unit, runtime);
    const isEncrypted = key !== 'LoadCredential';
    // The last entry for an id wins.
    loads.delete(id ?? rawId);
    if (rawId === '' || socket === undefined || !isOurSocket(socket, folder)) continue;
    loads.set(id ?? rawId, { unit, path, rawId, id, isEncrypted, isIdle: isTemplate(unit) });
  }
  return [...loads.values()];
}

function isOurSocket(path: string, folder: string): boolean {
  // /var/run is a link to /run on every host that runs systemd.
  const clean = normalize(path).replace(/^\/var\/run\//, '/run/');
  return SOCKET_NAMES.some((socket) => clean === `${folder}/${socket}`);
}
