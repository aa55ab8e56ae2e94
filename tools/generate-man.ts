/**
 * Makes the manual pages out of the sources that they describe and the hand-written parts in docs/man:
 *
 *     node tools/generate-man.ts [FOLDER]
 *
 * `dist/man` unless given. The date on them is SOURCE_DATE_EPOCH's, or today's.
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

/** By file, the parts of a page that are generated. The hand-written ones are in docs/man, under the same name. */
const PAGES: Readonly<Record<string, () => Parts>> = {
  'cio-credential.1': () => commandParts(COMMANDS),
  'cio-credentiald.8': daemonParts,
  'io.cio.Credentials.7': () => interfaceParts(parseInterface(INTERFACE_DESCRIPTION)),
};

/** The page of every command that has none of its own. */
const COMMANDS_PAGE = 'cio-credential.1';

/** Every page by its path below a folder `man`, as in `man1/cio.1`. */
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

/** https://reproducible-builds.org/specs/source-date-epoch/ */
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
