import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { CommandError, type CommandErrorCode } from '../../../client/cio/command-error.ts';
import { assertFits, findCommand } from '../../../client/cio/process-image.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

function refuses(code: CommandErrorCode, act: () => unknown): void {
  assert.throws(act, (error) => error instanceof CommandError && error.code === code);
}

describe('findCommand()', () => {
  it('returns the first executable file in PATH', (t) => {
    const folder = temporaryDirectory(t);
    for (const name of ['plain', 'first', 'second']) fs.mkdirSync(path.join(folder, name));
    fs.writeFileSync(path.join(folder, 'plain/tool'), '', { mode: 0o644 });
    fs.mkdirSync(path.join(folder, 'first/tool'));
    fs.writeFileSync(path.join(folder, 'second/tool'), '', { mode: 0o755 });
    const searchPath = ['plain', 'first', 'nowhere', 'second'].map((name) => path.join(folder, name)).join(':');
    assert.equal(findCommand('tool', searchPath), path.join(folder, 'second/tool'));
    refuses('CommandNotFound', () => findCommand('other', searchPath));
    refuses('CommandNotExecutable', () => findCommand('tool', path.join(folder, 'plain')));
  });

  it('takes a name with a slash for a path', (t) => {
    const folder = temporaryDirectory(t);
    const tool = path.join(folder, 'tool');
    refuses('CommandNotFound', () => findCommand(tool, '/usr/bin'));
    fs.writeFileSync(tool, '', { mode: 0o644 });
    refuses('CommandNotExecutable', () => findCommand(tool, '/usr/bin'));
    refuses('CommandNotExecutable', () => findCommand(folder, '/usr/bin'));
    fs.chmodSync(tool, 0o755);
    assert.equal(findCommand(tool, ''), tool);
    assert.equal(
      findCommand(`${folder}/../${path.basename(folder)}/tool`),
      `${folder}/../${path.basename(folder)}/tool`,
    );
  });

  it('treats unreadable places as not found', (t) => {
    const folder = temporaryDirectory(t);
    fs.symlinkSync('loop', path.join(folder, 'loop'));
    refuses('CommandNotFound', () => findCommand('x'.repeat(300), '/usr/bin'));
    refuses('CommandNotFound', () => findCommand('loop', folder));
    refuses('CommandNotFound', () => findCommand('tool', `/etc/passwd:${path.join(folder, 'loop')}`));
  });

  it('finds nothing for an empty name', () => {
    refuses('CommandNotFound', () => findCommand('', '/usr/bin'));
  });

  it('searches the default folders if PATH is unset, and the current folder for an empty entry', () => {
    assert.match(findCommand('sh', undefined), /\/bin\/sh$/);
    refuses('CommandNotFound', () => findCommand('sh', ''));
    assert.equal(findCommand('sh', ':/bin'), '/bin/sh');
  });
});

describe('assertFits()', () => {
  it('accepts what Linux accepts', () => {
    assertFits(['restic', 'x'.repeat(131_071)], { SMALL: '1', LARGE: 'x'.repeat(131_065) });
  });

  it('refuses an argument or a variable over 128 KiB, and names the variable', () => {
    refuses('CommandNotExecutable', () => assertFits(['x'.repeat(131_072)], {}));
    assert.throws(() => assertFits([], { LARGE: 'x'.repeat(131_066) }), /the variable LARGE is too large/);
  });

  it('refuses more than 6 MiB in all, whatever the resource limits', () => {
    const environment = Object.fromEntries(
      Array.from({ length: 60 }, (_, index) => [`V${index}`, 'x'.repeat(110_000)]),
    );
    refuses('CommandNotExecutable', () => assertFits([], environment));
  });
});
