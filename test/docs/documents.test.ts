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

/** The shell lines of a document's code blocks, with lines that end in a backslash joined to the next. */
function shellLines(text: string): readonly string[] {
  const fenced = [...text.matchAll(/^```sh\n(.*?)^```$/gms)].flatMap(([, block = '']) => block.split('\n'));
  const indented = text
    .replaceAll(/^```.*?^```$/gms, '')
    .split('\n')
    .filter((line) => /^ {4}/.test(line));
  const lines = [...fenced, ...indented].map((line) => line.trim().replace(/^\$ /, ''));
  return lines.join('\n').replaceAll(/\\\n/g, ' ').split('\n');
}

/** The `cio credential` commands among them, without what precedes the words `credential …`. */
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

/** Checks that the parser accepts a command line, and that each option value is one that its completion offers. */
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

/** Paths that exist only after a build or a measurement. */
const IS_MADE = /^(?:build|dist)\//;

/** The paths in backquotes, which are those that have a slash: `vault/reader` or `test/host`. */
function placesIn(text: string): readonly string[] {
  return [...text.matchAll(/`([a-z.]+(?:\/[\w.-]+)+)\/?`/g)]
    .map(([, place = '']) => place)
    .filter((place) => !IS_MADE.test(place));
}

/** Tells whether a path exists relative to the checkout, to daemon/ or to the document, with or without `.ts`. */
function isThere(place: string, document: string): boolean {
  const folders = ['', 'daemon', path.dirname(document)];
  return folders.some((folder) => ['', '.ts'].some((end) => fs.existsSync(path.join(ROOT, folder, place + end))));
}

describe('documents', () => {
  for (const document of DOCUMENTS) {
    it(`${document} has only commands that cio accepts, and links that resolve`, () => {
      const text = fs.readFileSync(path.join(ROOT, document), 'utf8');
      for (const words of cioLines(text)) assertParses(words, document);
      for (const [, target = '', anchor] of text.matchAll(/\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)/g)) {
        const page = path.join(ROOT, target === '' ? document : path.join(path.dirname(document), target));
        assert.ok(fs.existsSync(page), `${document}: no ${target}`);
        if (anchor === undefined) continue;
        assert.ok(anchorsOf(fs.readFileSync(page, 'utf8')).includes(anchor), `${document}: no #${anchor} in ${target}`);
      }
    });

    it(`${document} names only files and folders that exist`, () => {
      const places = placesIn(fs.readFileSync(path.join(ROOT, document), 'utf8'));
      assert.deepEqual(
        places.filter((place) => !isThere(place, document)),
        [],
      );
    });
  }

  it('contain command lines and paths to check, and the index lists every page', () => {
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
    it(`has examples of ${command.name} that cio accepts`, () => {
      for (const [line] of command.examples) {
        for (const words of cioLines(`    ${line}`)) assertParses(words, command.name);
      }
    });
  }
});

describe('commandsOf()', () => {
  it('splits a line into commands and words as a shell does', () => {
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
