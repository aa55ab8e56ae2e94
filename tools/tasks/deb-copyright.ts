import fs from 'node:fs';
import path from 'node:path';
import type { ProductionPackage } from './production-packages.ts';

const LICENCE_FILE = /^(?:licen[cs]e|copying)(?:[-.]\w+)*$/i;

/** Beyond these the text speaks of the licences of others. */
const HOLDER_LINES_MAX = 20;

/** Where the program is on a host, without the leading slash: the `Files` of a machine-readable copyright file. */
const INSTALLED = 'usr/lib/cio-credentiald';

/** What tools/build-client.ts and tools/build-prober.ts make. */
const BUNDLES = ['cio.cjs', 'cio-*.mjs', 'prober/*.cjs'].map((files) => `${INSTALLED}/dist/${files}`).join(' ');

/** Its text is in Debian's base system; the file of our own paragraphs says where. */
const COMMON_LICENCE = 'Apache-2.0';

/**
 * The copyright file of the package in Debian's format 1.0: its own paragraphs, and one for each package of others that
 * is in it, with the text of its licence as it came.
 *
 * @param own the head of the file, what is ours, and the paragraph of the Apache licence
 * @throws Error where a package says nothing about its licence
 */
export function debianCopyright(own: string, root: string, packages: readonly ProductionPackage[]): string {
  const byId = new Map(packages.map((entry) => [`${entry.name}-${entry.version}`, entry]));
  const paragraphs = [...byId].map(([id, entry]) => paragraphOf(id, entry, root));
  return `${[own.trimEnd(), ...paragraphs].join('\n\n')}\n`;
}

function paragraphOf(id: string, { name, location, version, isBundled }: ProductionPackage, root: string): string {
  const { licence, author } = statedBy(path.join(root, location), name);
  const text = licenceText(root, name, location) ?? `Its package.json says "${licence}"; no text of it came along.`;
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
  if (license === undefined) throw new Error(`${name} does not say under which licence it is`);
  return { licence: license, author: (typeof author === 'string' ? author : author?.name) ?? `the authors of ${name}` };
}

/** The addon's folder for one machine has no licence file of its own: it is koffi's. */
function licenceText(root: string, name: string, location: string): string | undefined {
  const folder = path.join(root, name.startsWith('@koromix/koffi-') ? 'node_modules/koffi' : location);
  const file = fs.readdirSync(folder).find((candidate) => LICENCE_FILE.test(candidate));
  if (file === undefined) return undefined;
  return fs.readFileSync(path.join(folder, file), 'utf8').replaceAll('\r', '').trim();
}

/** The lines that say whose the work is; they are the first of a licence. */
function holders(text: string): string {
  return text
    .split('\n')
    .slice(0, HOLDER_LINES_MAX)
    .map((line) => /^\W*copyright (?:\(c\) |© )?(?<holder>.*\w.*)$/i.exec(line)?.groups?.['holder']?.trim())
    .filter((holder) => holder !== undefined)
    .join('\n           ');
}

/** Debian Policy 5.6.13: continuation lines begin with a blank, and an empty one is a dot. */
function indented(text: string): string {
  return text
    .split('\n')
    .map((line) => (line.trim() === '' ? ' .' : ` ${line.trimEnd()}`))
    .join('\n');
}
