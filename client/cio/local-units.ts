import { readdirSync } from 'node:fs';

/** Where systemd has the units of a host, systemd.unit(5); an administrator's first. */
const FOLDERS = [
  '/etc/systemd/system',
  '/run/systemd/system',
  '/usr/local/lib/systemd/system',
  '/usr/lib/systemd/system',
];

/** The services of this host and the templates of such, by their files; a unit that reads a credential is one of them. */
export function localUnits(folders: readonly string[] = FOLDERS): string[] {
  return [...new Set(folders.flatMap(namesIn))].filter((name) => name.endsWith('.service'));
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    // Not every host has each of them.
    return [];
  }
}
