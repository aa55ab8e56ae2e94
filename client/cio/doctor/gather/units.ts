import { readdirSync, realpathSync, type Dirent } from 'node:fs';
import { basename, join } from 'node:path';
import { templateOf } from '../../../../src/units.ts';
import type { UnitScan } from '../facts.ts';
import { environmentNames, parseUnitFile, type Assignment, type UnitFile } from '../unit-file.ts';
import { codeOf, readText } from './files.ts';

/** systemd's own longest line (`LONG_LINE_MAX`); no unit file of a person is larger. */
export const UNIT_FILE_BYTES_MAX: number = 1024 * 1024;

/** Most files that are read: a host has some hundred. */
const FILES_MAX = 20_000;

/** Where systemd looks for system units, the folder that counts first (systemd.unit(5)). */
const FOLDERS: readonly string[] = [
  '/etc/systemd/system.control',
  '/run/systemd/system.control',
  '/run/systemd/transient',
  '/run/systemd/generator.early',
  '/etc/systemd/system',
  '/run/systemd/system',
  '/run/systemd/generator',
  '/usr/local/lib/systemd/system',
  '/usr/lib/systemd/system',
  '/lib/systemd/system',
  '/run/systemd/generator.late',
];

/** The types of units that run programs. */
const UNIT_FILE = /\.(?:service|socket|mount|swap)$/;
const DROP_IN_FOLDER = /^(.+\.(?:service|socket|mount|swap)|service|socket|mount|swap)\.d$/;

/** Folders of links to the units that another one starts; instances of templates have their names only here. */
const STARTED_FOLDER = /\.(?:wants|requires)$/;

/** What of a unit file is kept. */
const KEPT: readonly string[] = ['LoadCredential', 'LoadCredentialEncrypted', 'Environment', 'EnvironmentFile'];

/**
 * Reads the unit files and drop-ins of the host that load credentials or set variables. Of files with one name the first
 * folder's counts, as for systemd.
 *
 * @param root the root of the host's file system
 */
export function scanUnits(root: string = ''): UnitScan {
  const scan = new Scan();
  for (const folder of FOLDERS) scan.readFolder(join(root || '/', folder));
  return { files: scan.sorted(), instances: [...scan.instances].toSorted(), unread: scan.unread };
}

class Scan {
  readonly #files: UnitFile[] = [];
  readonly unread: { readonly path: string; readonly reason: string }[] = [];
  readonly instances = new Set<string>();
  /** `unit` or `unit/drop-in.conf`, of which a later folder's does not count. */
  readonly #taken = new Set<string>();
  readonly #folders = new Set<string>();
  #count = 0;

  /** Unit files before their drop-ins, drop-ins by their names: the order in which settings add up. */
  sorted(): UnitFile[] {
    const rank = ({ isDropIn, path }: UnitFile): string => `${isDropIn ? 1 : 0}${path.slice(path.lastIndexOf('/'))}`;
    return this.#files.toSorted((a, b) => (rank(a) < rank(b) ? -1 : 1));
  }

  readFolder(folder: string): void {
    for (const entry of this.#list(folder)) {
      const path = join(folder, entry.name);
      const dropIns = DROP_IN_FOLDER.exec(entry.name)?.[1];
      if (dropIns !== undefined) this.#readDropIns(path, dropIns);
      else if (STARTED_FOLDER.test(entry.name)) this.#readStarted(path);
      else if (UNIT_FILE.test(entry.name) && !this.#isAlias(path, entry))
        this.#read(path, entry.name, entry.name, false);
    }
  }

  /** A link to a unit of another name, which is read under its own. A link to a template makes an instance. */
  #isAlias(path: string, entry: Dirent): boolean {
    if (!entry.isSymbolicLink()) return false;
    try {
      const target = basename(realpathSync(path));
      return UNIT_FILE.test(target) && target !== entry.name && target !== templateOf(entry.name);
    } catch {
      // It leads nowhere; reading it tells why.
      return false;
    }
  }

  /** A timer starts the service of its name, unless it says another one. */
  #readStarted(folder: string): void {
    for (const { name } of this.#list(folder)) {
      const unit = name.replace(/\.timer$/, '.service');
      if (UNIT_FILE.test(unit) && templateOf(unit) !== undefined) this.instances.add(unit);
    }
  }

  #readDropIns(folder: string, unit: string): void {
    for (const entry of this.#list(folder)) {
      if (entry.name.endsWith('.conf')) this.#read(join(folder, entry.name), unit, `${unit}/${entry.name}`, true);
    }
  }

  /** Nothing for a folder that is not there, or was read by another way to it (/lib is /usr/lib). */
  #list(folder: string): Dirent[] {
    try {
      const real = realpathSync(folder);
      if (this.#folders.has(real)) return [];
      this.#folders.add(real);
      return readdirSync(real, { withFileTypes: true });
    } catch (error) {
      if (codeOf(error) !== 'ENOENT' && codeOf(error) !== 'ENOTDIR') this.#skip(folder, codeOf(error));
      return [];
    }
  }

  #read(path: string, unit: string, key: string, isDropIn: boolean): void {
    if (this.#taken.has(key)) return;
    this.#taken.add(key);
    if (this.#count >= FILES_MAX) {
      if (this.#count === FILES_MAX) this.#skip(path, `there are more than ${FILES_MAX} files`);
      this.#count = FILES_MAX + 1;
      return;
    }
    this.#count += 1;
    // One byte more than the bound tells a file that is too large.
    const text = readText(path, UNIT_FILE_BYTES_MAX + 1);
    if ('unseen' in text) {
      this.#skip(path, text.unseen.replace(/^.*\((.*)\)$/, '$1').replace(`${path} is`, 'it is'));
    } else if (text.value !== undefined && text.value.length > UNIT_FILE_BYTES_MAX) {
      this.#skip(path, 'it is larger than 1 MiB');
    } else {
      const assignments = keep(parseUnitFile(text.value ?? ''));
      if (assignments.length > 0) this.#files.push({ path, unit, isDropIn, assignments });
    }
  }

  #skip(path: string, reason: string): void {
    this.unread.push({ path, reason });
  }
}

/** Of an environment the names alone: values can be secrets, and are in nobody's way here. */
function keep(assignments: readonly Assignment[]): Assignment[] {
  return assignments.flatMap((assignment) => {
    if (!KEPT.includes(assignment.key)) return [];
    if (assignment.key !== 'Environment' || assignment.value === '') return [assignment];
    const names = environmentNames(assignment.value);
    return names.length === 0 ? [] : [{ ...assignment, value: names.join(' ') }];
  });
}
