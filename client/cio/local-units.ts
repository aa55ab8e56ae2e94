import { readdirSync } from 'node:fs';

/** Folders of the system's units, systemd.unit(5); the administrator's comes first. */
const FOLDERS = [
  '/etc/systemd/system',
  '/run/systemd/system',
  '/usr/local/lib/systemd/system',
  '/usr/lib/systemd/system',
];

/** Lists the services of this host and their templates, by unit file. A unit that reads a credential is one of them. */
export function localUnits(folders: readonly string[] = FOLDERS): string[] {
  return [...new Set(folders.flatMap(namesIn))].filter((name) => name.endsWith('.service'));
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    // Not every host has all of these folders.
    return [];
  }
}
