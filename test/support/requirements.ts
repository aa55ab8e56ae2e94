import fs from 'node:fs';
import path from 'node:path';

/** Something that a test needs and that not every machine has; says what is missing, or nothing. */
export type Requirement = () => string | undefined;

/** The reason to skip a test, for its `skip` option: what is missing of what it needs. False where nothing is. */
export function skipUnless(...requirements: readonly Requirement[]): string | false {
  const missing = requirements.map((requirement) => requirement()).filter((reason) => reason !== undefined);
  return missing.length > 0 && `needs ${missing.join(', ')}`;
}

/** A command of a Debian package, on this host or below another root. */
export function command(name: string, debianPackage: string = name, below = '/'): Requirement {
  const where = below === '/' ? '' : ` in ${below}`;
  return () => (findCommand(name, below) === undefined ? `${name}${where} (Debian: ${debianPackage})` : undefined);
}

/** To become other users. */
export function root(): string | undefined {
  return process.geteuid?.() === 0 ? undefined : 'root';
}

/** Where Debian has a command; whatever else is in PATH is not asked. */
export function findCommand(name: string, below = '/'): string | undefined {
  return ['/usr/bin', '/bin', '/usr/sbin', '/sbin', '/usr/local/bin']
    .map((directory) => path.join(below, directory, name))
    .find((file) => fs.existsSync(file));
}
