import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { GROUP_WORDS, parseCommandLine } from '../../client/cio/arguments.ts';
import type { Command, Option } from '../../client/cio/command.ts';
import { COMMANDS } from '../../client/cio/commands.ts';
import { commandsOf, type ShellCommand } from './shell-words.ts';

const ROOT = path.join(import.meta.dirname, '..', '..');
const DOCUMENTS = [...fs.globSync('{*.md,docs/**/*.md}', { cwd: ROOT })].toSorted();

/** What is typed in a document: the lines of its blocks of code, with those put together that go on after a backslash. */
function shellLines(text: string): readonly string[] {
  const fenced = [...text.matchAll(/^```sh\n(.*?)^```$/gms)].flatMap(([, block = '']) => block.split('\n'));
  const indented = text
    .replaceAll(/^```.*?^```$/gms, '')
    .split('\n')
    .filter((line) => /^ {4}/.test(line));
  const lines = [...fenced, ...indented].map((line) => line.trim().replace(/^\$ /, ''));
  return lines.join('\n').replaceAll(/\\\n/g, ' ').split('\n');
}

/** The command lines of `cio credential` among them, without what stands before `cio`. */
function cioLines(text: string): readonly ShellCommand[] {
  return shellLines(text)
    .filter((line) => /\bcio cred/.test(line))
    .flatMap(commandsOf)
    .flatMap((words) => {
      const start = words.findIndex(
        (word, index) => /(?:^|\/)cio$/.test(word) && GROUP_WORDS.includes(words[index + 1] ?? ''),
      );
      return start === -1 ? [] : [words.slice(start + 1)];
    });
}

/** Runs the parser on a command line; what is typed for something must also be something that it completes. */
function assertParses(words: ShellCommand, where: string): void {
  const line = `${where}: cio ${words.join(' ')}`;
  assert.doesNotThrow(() => {
    const request = parseCommandLine(words, COMMANDS);
    assert.equal(request.kind === 'help' && !request.isAsked, false, 'it is no command');
    if (request.kind === 'run') assertChoices(request.command, request.input.options, line);
  }, `${line} is not understood`);
}

function assertChoices(command: Command, options: Readonly<Record<string, unknown>>, line: string): void {
  for (const [name, value] of Object.entries(options)) {
    const { completes } = (command.options[name] ?? {}) as Option;
    if (typeof value !== 'string' || !Array.isArray(completes)) continue;
    assert.ok(completes.includes(value), `${line}: --${name} has no ${value}`);
  }
}

/** The anchors of a page's headings, as GitHub makes them. */
function anchorsOf(text: string): readonly string[] {
  return [...text.replaceAll(/^```.*?^```$/gms, '').matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\w\- ]/g, '')
      .replaceAll(' ', '-'),
  );
}

/** What is there only when something was built or measured. */
const IS_MADE = /^(?:build|dist)\//;

/** What stands in backquotes and has a slash: files and folders, as `vault/reader` or `test/host`. */
function placesIn(text: string): readonly string[] {
  return [...text.matchAll(/`([a-z.]+(?:\/[\w.-]+)+)\/?`/g)]
    .map(([, place = '']) => place)
    .filter((place) => !IS_MADE.test(place));
}

/** A place below the folder, of the daemon or of the page, with its ending or without. */
function isThere(place: string, document: string): boolean {
  const folders = ['', 'daemon', path.dirname(document)];
  return folders.some((folder) => ['', '.ts'].some((end) => fs.existsSync(path.join(ROOT, folder, place + end))));
}

describe('documents', () => {
  for (const document of DOCUMENTS) {
    it(`${document} has command lines that cio understands, and links that lead somewhere`, () => {
      const text = fs.readFileSync(path.join(ROOT, document), 'utf8');
      for (const words of cioLines(text)) assertParses(words, document);
      for (const [, target = '', anchor] of text.matchAll(/\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)/g)) {
        const page = path.join(ROOT, target === '' ? document : path.join(path.dirname(document), target));
        assert.ok(fs.existsSync(page), `${document}: no ${target}`);
        if (anchor === undefined) continue;
        assert.ok(anchorsOf(fs.readFileSync(page, 'utf8')).includes(anchor), `${document}: no #${anchor} in ${target}`);
      }
    });

    it(`${document} names files and folders that are there`, () => {
      const places = placesIn(fs.readFileSync(path.join(ROOT, document), 'utf8'));
      assert.deepEqual(
        places.filter((place) => !isThere(place, document)),
        [],
      );
    });
  }

  it('have command lines at all, and every page is in the index', () => {
    assert.ok(cioLines(fs.readFileSync(path.join(ROOT, 'README.md'), 'utf8')).length > 10);
    assert.ok(placesIn(fs.readFileSync(path.join(ROOT, 'ARCHITECTURE.md'), 'utf8')).length > 30);
    const index = fs.readFileSync(path.join(ROOT, 'docs/README.md'), 'utf8');
    for (const page of fs.globSync('docs/*.md', { cwd: ROOT })) {
      const name = path.basename(page);
      assert.ok(name === 'README.md' || index.includes(`](${name})`), name);
    }
  });
});

describe('the table of commands', () => {
  for (const command of COMMANDS) {
    it(`has examples of ${command.name} that are understood`, () => {
      for (const [line] of command.examples) {
        for (const words of cioLines(`    ${line}`)) assertParses(words, command.name);
      }
    });
  }
});

describe('commandsOf()', () => {
  it('reads a line as a shell does', () => {
    for (const [line, commands] of [
      ['a b', [['a', 'b']]],
      [`a 'b c' "d $e" f\\ g`, [['a', 'b c', 'd $e', 'f g']]],
      ['a | b && c; d # e', [['a'], ['b'], ['c'], ['d']]],
      ['a > b 2>/dev/null 2>&1 < c d', [['a', 'd']]],
      ['', []],
    ] as const) {
      assert.deepEqual(commandsOf(line), commands);
    }
  });
});
