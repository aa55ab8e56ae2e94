/**
 * Generates the manual pages from the sources that they describe and the hand-written parts in docs/man:
 *
 *     node tools/generate-man.ts [FOLDER]
 *
 * FOLDER is `dist/man` by default. The pages are dated by SOURCE_DATE_EPOCH, or else today.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { COMMANDS } from '../client/cio/commands.ts';
import { parseInterface } from '../src/protocol/idl.ts';
import { INTERFACE_DESCRIPTION } from '../src/protocol/interface.generated.ts';
import { commandParts } from './man/command-page.ts';
import { daemonParts } from './man/daemon-page.ts';
import { interfaceParts } from './man/interface-page.ts';
import { renderProse, type Parts } from './man/prose.ts';
import { title } from './man/roff.ts';

const ROOT = path.join(import.meta.dirname, '..');

/** The generated parts of each page, by file. The hand-written parts are in docs/man under the same name. */
const PAGES: Readonly<Record<string, () => Parts>> = {
  'cio-credential.1': () => commandParts(COMMANDS),
  'cio-credentiald.8': daemonParts,
  'io.cio.Credentials.7': () => interfaceParts(parseInterface(INTERFACE_DESCRIPTION)),
};

/** The page to which commands without a page of their own refer. */
const COMMANDS_PAGE = 'cio-credential.1';

/** Renders every page, by its path below a folder `man`, such as `man1/cio.1`. */
export function renderPages(date: string): ReadonlyMap<string, string> {
  const { version, bin } = JSON.parse(readFileSync(path.join(ROOT, 'package.json'), 'utf8')) as {
    readonly version: string;
    readonly bin: Readonly<Record<string, string>>;
  };
  const pages = new Map<string, string>();
  for (const [file, parts] of Object.entries(PAGES)) {
    const source = readFileSync(path.join(ROOT, 'docs', 'man', `${file}.md`), 'utf8');
    const [, name = '', section = ''] = /^(.*)\.(\d)$/.exec(file) ?? [];
    const head = title(name, Number(section), date, `cio-credentiald ${version}`, 'cio-credentiald');
    pages.set(placeOf(file), head + renderProse(source, parts()));
  }
  for (const command of Object.keys(bin)) {
    const hasOwn = Object.keys(PAGES).some((file) => file.slice(0, -2) === command);
    if (!hasOwn) pages.set(placeOf(`${command}.1`), `.so ${placeOf(COMMANDS_PAGE)}\n`);
  }
  return pages;
}

function placeOf(file: string): string {
  return `man${file.at(-1)}/${file}`;
}

/** The date of a reproducible build (https://reproducible-builds.org/specs/source-date-epoch/), or today. */
function today(): string {
  const epoch = process.env['SOURCE_DATE_EPOCH'];
  return new Date(epoch === undefined ? Date.now() : Number(epoch) * 1000).toISOString().slice(0, 10);
}

if (import.meta.main) {
  const folder = path.resolve(process.argv[2] ?? path.join(ROOT, 'dist', 'man'));
  for (const [place, text] of renderPages(today())) {
    mkdirSync(path.dirname(path.join(folder, place)), { recursive: true });
    writeFileSync(path.join(folder, place), text);
  }
}
