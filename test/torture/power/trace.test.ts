import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { readTrace } from './trace.ts';

const quoted = (text: string): string => `"${text.replaceAll(/./g, (letter) => `\\x${hex(letter)}`)}"`;
const hex = (letter: string): string => letter.charCodeAt(0).toString(16).padStart(2, '0');

/** The working directory of a relative path, as strace writes it. */
const HERE = `AT_FDCWD<${quoted('/here').slice(1, -1)}>`;

describe('readTrace', () => {
  const [from, to] = ['/state/new', '/state/old'];
  const [fromText, toText] = [quoted(from), quoted(to)];
  for (const [architecture, lines] of Object.entries({
    'x86-64': [`link(${fromText}, ${toText}) = 0`, `rename(${fromText}, ${toText}) = 0`, `unlink(${toText}) = 0`],
    arm64: [
      `linkat(${HERE}, ${fromText}, ${HERE}, ${toText}, 0) = 0`,
      `renameat(${HERE}, ${fromText}, ${HERE}, ${toText}) = 0`,
      `unlinkat(${HERE}, ${toText}, 0) = 0`,
    ],
  })) {
    it(`reads links, renames and removals from the calls of ${architecture}`, (t) => {
      const trace = path.join(temporaryDirectory(t), 'trace');
      writeFileSync(`${trace}.1`, `${lines.join('\n')}\n`);
      assert.deepEqual(readTrace(trace, '/state'), [
        { kind: 'link', from, path: to },
        { kind: 'rename', from, path: to },
        { kind: 'unlink', path: to },
      ]);
    });
  }

  it('throws on a call that it cannot play back', (t) => {
    const trace = path.join(temporaryDirectory(t), 'trace');
    writeFileSync(`${trace}.1`, `unlinkat(${HERE}, ${toText}, AT_REMOVEDIR) = 0\n`);
    assert.throws(() => readTrace(trace, '/state'), /which is not followed/);
  });
});
