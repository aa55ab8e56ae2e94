import fs from 'node:fs';
import path from 'node:path';
import type { ProductionPackage } from './production-packages.ts';

const LICENCE_FILE = /^(?:licen[cs]e|copying)(?:[-.]\w+)*$/i;

/** Copyright notices after this many lines of a licence belong to software of others. */
const HOLDER_LINES_MAX = 20;

/** Where the program is installed, without the leading slash, as in `Files` of a machine-readable copyright file. */
const INSTALLED = 'usr/lib/cio-credentiald';

/** The files that tools/build-client.ts and tools/build-prober.ts write. */
const BUNDLES = ['cio.cjs', 'cio-*.mjs', 'prober/*.cjs'].map((files) => `${INSTALLED}/dist/${files}`).join(' ');

/** A licence whose text is in Debian's base system. The file with our own paragraphs says where. */
const COMMON_LICENCE = 'Apache-2.0';

/**
 * Renders the copyright file of the package in Debian's format 1.0: our own paragraphs, and one for each third-party
 * package that is included, with the unchanged text of its licence.
 *
 * @param own the header of the file, the paragraphs for our own files, and that of the Apache licence
 * @throws Error if a package does not declare its licence
 */
export function debianCopyright(own: string, root: string, packages: readonly ProductionPackage[]): string {
  const byId = new Map(packages.map((entry) => [`${entry.name}-${entry.version}`, entry]));
  const paragraphs = [...byId].map(([id, entry]) => paragraphOf(id, entry, root));
  return `${[own.trimEnd(), ...paragraphs].join('\n\n')}\n`;
}

function paragraphOf(id: string, { name, location, version, isBundled }: ProductionPackage, root: string): string {
  const { licence, author } = statedBy(path.join(root, location), name);
  const text =
    licenceText(root, name, location) ?? `Its package.json says "${licence}"; the package contains no text of it.`;
  const isCommon = licence === COMMON_LICENCE;
  return [
    `Files: ${isBundled ? BUNDLES : `${INSTALLED}/${location}/*`}`,
    `Copyright: ${holders(text) || author}`,
    `License: ${isCommon ? licence : `${licence}-${id.replaceAll(/[^\w.-]/g, '-')}\n${indented(text)}`}`,
    ...(isBundled
      ? [`Comment: ${name} ${version} is bundled, as far as it is used, in one or more of these files.`]
      : []),
  ].join('\n');
}

function statedBy(folder: string, name: string): { readonly licence: string; readonly author: string } {
  const { license, author } = JSON.parse(fs.readFileSync(path.join(folder, 'package.json'), 'utf8')) as {
    readonly license?: string;
    readonly author?: string | { readonly name?: string };
  };
  if (license === undefined) throw new Error(`${name} does not declare its licence`);
  return { licence: license, author: (typeof author === 'string' ? author : author?.name) ?? `the authors of ${name}` };
}

/** Returns the text of a package's licence. The package with koffi's addon has no licence file; koffi's own applies. */
function licenceText(root: string, name: string, location: string): string | undefined {
  const folder = path.join(root, name.startsWith('@koromix/koffi-') ? 'node_modules/koffi' : location);
  const file = fs.readdirSync(folder).find((candidate) => LICENCE_FILE.test(candidate));
  if (file === undefined) return undefined;
  return fs.readFileSync(path.join(folder, file), 'utf8').replaceAll('\r', '').trim();
}

/** Returns the copyright holders, which the first lines of a licence name. */
function holders(text: string): string {
  return text
    .split('\n')
    .slice(0, HOLDER_LINES_MAX)
    .map((line) => /^\W*copyright (?:\(c\) |© )?(?<holder>.*\w.*)$/i.exec(line)?.groups?.['holder']?.trim())
    .filter((holder) => holder !== undefined)
    .join('\n           ');
}

/** Formats continuation lines (Debian Policy 5.6.13): they begin with a space, and an empty line is a dot. */
function indented(text: string): string {
  return text
    .split('\n')
    .map((line) => (line.trim() === '' ? ' .' : ` ${line.trimEnd()}`))
    .join('\n');
}
