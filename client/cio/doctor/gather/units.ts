import { readdirSync, readlinkSync, realpathSync, type Dirent } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { isUnitName, templateOf } from '../../../../src/units.ts';
import type { ScannedFile, UnitScan } from '../facts.ts';
import { environmentNames, parseUnitFile, type Assignment } from '../unit-file.ts';
import { causeOf, codeOf, readRegularFile } from './files.ts';

/** systemd's limit for a line (`LONG_LINE_MAX`); no unit file that a person wrote is larger. */
export const UNIT_FILE_BYTES_MAX: number = 1024 * 1024;

/** The maximum number of files that are read: a host has some hundred. */
const FILES_MAX = 20_000;

/** The folders in which systemd looks for system units, highest precedence first (systemd.unit(5)). */
const FOLDERS: readonly string[] = [
  '/etc/systemd/system.control',
  '/run/systemd/system.control',
  '/run/systemd/transient',
  '/run/systemd/generator.early',
  '/etc/systemd/system',
  '/etc/systemd/system.attached',
  '/run/systemd/system',
  '/run/systemd/system.attached',
  '/run/systemd/generator',
  '/usr/local/lib/systemd/system',
  '/usr/lib/systemd/system',
  '/lib/systemd/system',
  '/run/systemd/generator.late',
];

/** Returns the same folders for the units of a user's service manager. */
export function userFolders(
  environment: Readonly<Record<string, string | undefined>>,
  home: string,
  runtime: string,
): string[] {
  const config = environment['XDG_CONFIG_HOME'] || join(home, '.config');
  const data = environment['XDG_DATA_HOME'] || join(home, '.local/share');
  const configs = (environment['XDG_CONFIG_DIRS'] || '/etc/xdg').split(':');
  const shared = (environment['XDG_DATA_DIRS'] || '/usr/local/share:/usr/share').split(':');
  const below = (folders: readonly string[], name: string): string[] =>
    folders.filter((folder) => folder.startsWith('/')).map((folder) => join(folder, 'systemd', name));
  return [
    ...below([config, runtime], 'user.control'),
    ...below([runtime], 'transient'),
    ...below([runtime], 'generator.early'),
    ...below([config, ...configs, '/etc', runtime, '/run'], 'user'),
    ...below([runtime], 'generator'),
    ...below([data, ...shared, '/usr/local/lib', '/usr/lib'], 'user'),
    ...below([runtime], 'generator.late'),
  ];
}

/** The types of units that run programs. */
const UNIT_FILE = /\.(?:service|socket|mount|swap)$/;
const DROP_IN_FOLDER = /^(.+\.(?:service|socket|mount|swap)|service|socket|mount|swap)\.d$/;

/** Folders of links to units that another unit starts. The names of a template's instances appear only here. */
const STARTED_FOLDER = /\.(?:wants|requires|upholds)$/;

/** The settings of a unit file that are kept. */
const KEPT: readonly string[] = ['LoadCredential', 'LoadCredentialEncrypted', 'Environment', 'EnvironmentFile'];

/**
 * Reads all unit files and drop-ins. Of several files with one name, the one in the first folder counts, as for systemd.
 *
 * @param root the root of the host's file system
 * @param folders the folders of the host's units, or of a user's
 */
export function scanUnits(root: string = '', folders: readonly string[] = FOLDERS): UnitScan {
  const paths = folders.map((folder) => join(root || '/', folder));
  const scan = new Scan(paths);
  for (const [index, path] of paths.entries()) scan.readFolder(path, index);
  const files = scan.sorted();
  const names = new Set([...files.map(({ unit }) => unit), ...scan.instances]);
  return { files, units: [...names].filter((unit) => scan.canStart(unit)).toSorted(), unread: scan.unread };
}

class Scan {
  readonly #files: ScannedFile[] = [];
  /** Whether a unit's file has content. An empty file, or a link to something that is not a file, masks the unit. */
  readonly #isFull = new Map<string, boolean>();
  /** The names of units, by their aliases. */
  readonly #aliases = new Map<string, string>();
  /** The folders of units, without symbolic links. */
  readonly #places: ReadonlySet<string>;
  readonly unread: { readonly path: string; readonly reason: string }[] = [];
  readonly instances = new Set<string>();
  /** The files seen so far, as `unit` or `unit/drop-in.conf`: one of the same name in a later folder is ignored. */
  readonly #taken = new Set<string>();
  readonly #folders = new Set<string>();
  #count = 0;

  constructor(folders: readonly string[]) {
    this.#places = new Set(folders.flatMap(realPath));
  }

  /** Returns the files under the names of their units instead of aliases, sorted by that and by path. */
  sorted(): ScannedFile[] {
    const files = this.#files.map((file) => ({ ...file, unit: this.#nameOf(file.unit) }));
    const keyOf = ({ unit, isDropIn, path }: ScannedFile): string => `${unit} ${isDropIn ? basename(path) : ''}`;
    return files.toSorted((one, other) => (keyOf(one) < keyOf(other) ? -1 : 1));
  }

  /** Whether systemd can start a unit, or an instance of it: it is not masked, and has more than drop-ins. */
  canStart(unit: string): boolean {
    return isUnitName(unit) && (this.#isFull.get(unit) ?? this.#isFull.get(templateOf(unit) ?? '') ?? false);
  }

  /** Resolves aliases, also of aliases. For aliases in a circle, the result is any one of them. */
  #nameOf(unit: string): string {
    let name = unit;
    for (let hops = 0; hops <= this.#aliases.size; hops++) name = this.#aliases.get(name) ?? name;
    return name;
  }

  /** @param index position of the folder in the search path */
  readFolder(folder: string, index: number): void {
    for (const entry of this.#list(folder)) {
      const path = join(folder, entry.name);
      const dropIns = DROP_IN_FOLDER.exec(entry.name)?.[1];
      if (dropIns !== undefined) this.#readDropIns(path, dropIns, index);
      else if (STARTED_FOLDER.test(entry.name)) this.#readStarted(path);
      else if (UNIT_FILE.test(entry.name) && !(entry.isSymbolicLink() && this.#isAlias(path, entry)))
        this.#read({ path, unit: entry.name, isDropIn: false, folder: index }, entry.name);
    }
  }

  /**
   * Whether a link is an alias: it leads to a unit of another name, which is read under that name. A link to a template
   * makes an instance, and a link to a file outside the unit folders is the unit itself.
   */
  #isAlias(path: string, { name }: Dirent): boolean {
    try {
      const target = resolve(realpathSync(dirname(path)), readlinkSync(path));
      const unit = basename(target);
      if (!UNIT_FILE.test(unit) || unit === name || unit === templateOf(name)) return false;
      if (!realPath(dirname(target)).some((folder) => this.#places.has(folder))) return false;
      if (!this.#taken.has(name)) this.#aliases.set(name, unit);
      this.#taken.add(name);
      return true;
    } catch {
      // The link is broken; reading it reports why.
      return false;
    }
  }

  /** Collects instances. A timer, path or socket starts the service of the same name, unless it names another one. */
  #readStarted(folder: string): void {
    for (const { name } of this.#list(folder)) {
      for (const unit of [name, name.replace(/\.(?:timer|path|socket)$/, '.service')]) {
        if (UNIT_FILE.test(unit) && templateOf(unit) !== undefined) this.instances.add(unit);
      }
    }
  }

  #readDropIns(folder: string, unit: string, index: number): void {
    for (const { name } of this.#list(folder)) {
      if (!name.endsWith('.conf')) continue;
      this.#read({ path: join(folder, name), unit, isDropIn: true, folder: index }, `${unit}/${name}`);
    }
  }

  /** Lists a folder. The list is empty if it does not exist, or was read under another path (/lib is /usr/lib). */
  #list(folder: string): Dirent[] {
    try {
      const real = realpathSync(folder);
      if (this.#folders.has(real)) return [];
      this.#folders.add(real);
      return readdirSync(real, { withFileTypes: true });
    } catch (error) {
      if (codeOf(error) !== 'ENOENT' && codeOf(error) !== 'ENOTDIR') this.#skip(folder, causeOf(folder, error));
      return [];
    }
  }

  /** @param key the file's name in {@link Scan.#taken} */
  #read(file: Omit<ScannedFile, 'assignments'>, key: string): void {
    const { path, unit, isDropIn } = file;
    if (this.#taken.has(key)) return;
    this.#taken.add(key);
    if (!isDropIn) this.#isFull.set(unit, true);
    if (this.#count >= FILES_MAX) {
      if (this.#count === FILES_MAX) this.#skip(path, `there are more than ${FILES_MAX} files`);
      this.#count = FILES_MAX + 1;
      return;
    }
    this.#count += 1;
    // Reading one byte more than the limit reveals a file that is too large.
    let text: string;
    try {
      text = readRegularFile(path, UNIT_FILE_BYTES_MAX + 1) ?? '';
    } catch (error) {
      this.#skip(path, causeOf(path, error));
      return;
    }
    if (!isDropIn && text === '') this.#isFull.set(unit, false);
    if (text.length > UNIT_FILE_BYTES_MAX) {
      this.#skip(path, 'it is larger than 1 MiB');
      return;
    }
    this.#files.push({ ...file, assignments: keep(parseUnitFile(text)) });
  }

  #skip(path: string, reason: string): void {
    this.unread.push({ path, reason });
  }
}

/** Returns the path without symbolic links, or nothing if it does not exist. */
function realPath(path: string): string[] {
  try {
    return [realpathSync(path)];
  } catch {
    return [];
  }
}

/** Keeps the relevant assignments; of `Environment=`, only the names of the variables: the values can be secrets. */
function keep(assignments: readonly Assignment[]): Assignment[] {
  return assignments.flatMap((assignment) => {
    if (!KEPT.includes(assignment.key)) return [];
    if (assignment.key !== 'Environment' || assignment.value === '') return [assignment];
    const names = environmentNames(assignment.value);
    return names.length === 0 ? [] : [{ ...assignment, value: names.join(' ') }];
  });
}
