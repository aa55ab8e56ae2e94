import fs from 'node:fs';
import path from 'node:path';

/** A package of `node_modules` that is installed on a host. */
export interface ProductionPackage {
  /** The npm name, with its scope. */
  readonly name: string;
  /** The folder, relative to the checkout: `node_modules/koffi`, or below another package. */
  readonly location: string;
  readonly version: string;
  /**
   * Whether its code is in the bundles of the command line or the prober, so that the package itself is not installed.
   */
  readonly isBundled: boolean;
}

interface LockedPackage {
  readonly version?: string;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

/** The packages that the daemon loads. All others are bundled: see tools/build-client.ts and tools/build-prober.ts. */
const LOADED: ReadonlySet<string> = new Set(['better-sqlite3', 'koffi', 'libsodium-wrappers']);

/** Headers that are needed only to compile better-sqlite3. */
const BUILD_ONLY: ReadonlySet<string> = new Set(['node-addon-api']);

/**
 * Returns the packages of package-lock.json that the installed program needs on this machine, and those that are
 * bundled into it. Optional packages for other machines, which npm does not install, are left out.
 *
 * @throws Error if a package is missing that is not optional
 */
export function productionPackages(root: string): readonly ProductionPackage[] {
  const lock = JSON.parse(fs.readFileSync(path.join(root, 'package-lock.json'), 'utf8')) as {
    readonly packages: Readonly<Record<string, LockedPackage>>;
  };
  const found = new Map<string, ProductionPackage>();
  const add = (from: string, name: string, isOptional: boolean, isBundled: boolean): void => {
    if (BUILD_ONLY.has(name)) return;
    const location = resolveLocation(from, name, (candidate) => fs.existsSync(path.join(root, candidate)));
    if (location === undefined) {
      if (isOptional) return;
      throw new Error(`${name} is not in node_modules, and ${from === '' ? 'the program' : from} needs it: npm ci`);
    }
    const known = found.get(location);
    if (known !== undefined && (!known.isBundled || isBundled)) return;
    const locked = lock.packages[location] ?? {};
    found.set(location, { name, location, version: locked.version ?? '', isBundled });
    addAll(location, locked, isBundled);
  };
  const addAll = (from: string, locked: LockedPackage, isBundled: boolean): void => {
    const optional = Object.keys(locked.optionalDependencies ?? {});
    const needed = Object.keys(locked.dependencies ?? {}).filter((name) => !optional.includes(name));
    for (const name of needed) add(from, name, false, isBundled || (from === '' && !LOADED.has(name)));
    for (const name of optional) add(from, name, true, isBundled);
  };
  addAll('', lock.packages[''] ?? {}, false);
  return [...found.values()].toSorted((a, b) => (a.location < b.location ? -1 : 1));
}

/**
 * Resolves `name` as Node does for the package at `from`: in its own node_modules, or in those of the folders above.
 */
function resolveLocation(from: string, name: string, exists: (location: string) => boolean): string | undefined {
  for (let folder = from; ; folder = folder.slice(0, Math.max(0, folder.lastIndexOf('node_modules/') - 1))) {
    const location = `${folder === '' ? '' : `${folder}/`}node_modules/${name}`;
    if (exists(location)) return location;
    if (folder === '') return undefined;
  }
}
