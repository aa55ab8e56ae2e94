import fs from 'node:fs';
import path from 'node:path';

export const SYSTEMD: string = path.join(import.meta.dirname, '..', '..', 'systemd');

/** A directive of a unit file, and whether a comment explains it. */
export interface Directive {
  readonly section: string;
  readonly name: string;
  readonly value: string;
  readonly isExplained: boolean;
}

/**
 * Reads the directives of a unit file. A comment explains the directives that follow it up to the next empty line.
 *
 * @param file relative to `systemd/`
 */
export function readDirectives(file: string): readonly Directive[] {
  const directives: Directive[] = [];
  let section = '';
  let isExplained = false;
  for (const line of fs.readFileSync(path.join(SYSTEMD, file), 'utf8').split('\n')) {
    const heading = /^\[(?<name>\w+)\]$/.exec(line)?.groups?.['name'];
    const [, name, value] = /^(?<name>\w+)=(?<value>.*)$/.exec(line) ?? [];
    if (heading !== undefined) section = heading;
    else if (line.startsWith('#')) isExplained = true;
    else if (name !== undefined) directives.push({ section, name, value: value ?? '', isExplained });
    else if (line === '') isExplained = false;
    else throw new Error(`${file} has a line that is neither directive nor comment: ${line}`);
  }
  return directives;
}

/** The values of a directive, in the order of the file. */
export function valuesOf(directives: readonly Directive[], name: string): readonly string[] {
  return directives.filter((directive) => directive.name === name).map((directive) => directive.value);
}

/** The unit files, relative to `systemd/`. */
export function unitFiles(): readonly string[] {
  return fs.globSync('**/*.{service,slice,socket,timer,target}', { cwd: SYSTEMD }).toSorted();
}
