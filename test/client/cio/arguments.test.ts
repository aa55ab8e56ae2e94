import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { parseCommandLine, usageOf, wantsJson, type Request } from '../../../client/cio/arguments.ts';
import { CommandError } from '../../../client/cio/command-error.ts';
import { COMMANDS } from '../../../client/cio/commands.ts';
import { anyText } from '../../src/any-text.ts';

function parse(...argv: string[]): Request {
  return parseCommandLine(argv, COMMANDS);
}

function run(...argv: string[]): Request & { readonly kind: 'run' } {
  const request = parse('credential', ...argv);
  assert.ok(request.kind === 'run');
  return request;
}

/** Returns the message and the hint with which the command line is refused. */
function refusal(...argv: string[]): string {
  try {
    parse(...argv);
  } catch (error) {
    assert.ok(error instanceof CommandError && error.code === 'Usage');
    return `${error.message} (${error.hint ?? ''})`;
  }
  assert.fail('it was not refused');
}

describe('parseCommandLine()', () => {
  it('finds every command by its name and aliases, after each spelling of the group', () => {
    for (const group of ['credential', 'credentials', 'cred']) {
      for (const command of COMMANDS) {
        for (const name of [command.name, ...(command.aliases ?? [])]) {
          const request = parse(group, ...name.split(' '), '--help');
          assert.ok(request.kind === 'help' && request.command === command, name);
        }
      }
    }
  });

  it("accepts pxctl's one-letter commands after the group names `credentials` and `cred`, but not after `credential`", () => {
    for (const group of ['credentials', 'cred']) {
      for (const [letter, name] of Object.entries({ c: 'create', l: 'list', d: 'remove', v: 'validate' })) {
        const request = parse(group, letter, '--help');
        assert.ok(request.kind === 'help' && request.command?.name === name, letter);
        assert.match(refusal('credential', letter), /no such command/);
      }
      assert.match(refusal(group, 'slot', 'l'), /no such command/);
    }
  });

  it('returns positionals by name, and options with their types', () => {
    const { input } = run('create', 'name', 'value', '--replace', '--from-file', 'path');
    assert.deepEqual(input.positionals, { NAME: 'name', VALUE: 'value' });
    assert.equal(input.options['replace'], true);
    assert.equal(input.options['from-file'], 'path');
    assert.equal(input.options['keep-newline'], false);
    assert.equal(input.options['owner'], undefined);
    assert.equal(run('get', 'x', '--version', '12').input.options['version'], 12);
    assert.deepEqual(run('grant', 'x', '--unit', 'a', '--unit=b').input.options['unit'], ['a', 'b']);
    assert.deepEqual(run('list').input.positionals, { PATTERN: [] });
    assert.deepEqual(run('list', 'a', 'b').input.positionals, { PATTERN: ['a', 'b'] });
  });

  it('accepts --json and --socket in any position', () => {
    for (const argv of [
      ['--json', '--socket', '/s', 'credential', 'list'],
      ['credential', '-j', '--socket=/s', 'list'],
      ['credential', 'list', '--socket', '/s', '-j'],
      ['credential', 'list', 'x', '--socket=/s', '--json'],
    ]) {
      const request = parse(...argv);
      assert.ok(request.kind === 'run');
      assert.deepEqual(request.globals, { isJson: true, socket: '/s' });
    }
    assert.deepEqual(run('list').globals, { isJson: false, socket: undefined });
  });

  it('takes words that begin with - after -- as values, and a lone - for standard input', () => {
    assert.deepEqual(run('create', 'name', '-').input.positionals, { NAME: 'name', VALUE: '-' });
    assert.deepEqual(run('create', '--', 'name', '--json').input.positionals, { NAME: 'name', VALUE: '--json' });
    assert.deepEqual(run('create', '--', 'name', '--json').globals.isJson, false);
  });

  it('passes everything after -- of exec on unchanged', () => {
    const { input, globals } = run('exec', 'aws', '--', 'restic', '--json', '--', '-x', '--help', '');
    assert.deepEqual(input.positionals, { SET: 'aws' });
    assert.deepEqual(input.rest, ['restic', '--json', '--', '-x', '--help', '']);
    assert.equal(globals.isJson, false);
  });

  it('says where the command of exec must be given', () => {
    for (const argv of [
      ['exec', 'aws'],
      ['exec', 'aws', '--'],
      ['exec', 'aws', 'restic', 'backup'],
      ['exec', 'aws', 'restic', '--repo', 'x'],
    ]) {
      assert.match(refusal('credential', ...argv), /^the command is missing .*cio credential exec aws -- restic/);
    }
  });

  it('takes the group name alone as a request for the overview', () => {
    for (const [argv, globals] of [
      [['credential'], { isJson: false, socket: undefined }],
      [['cred', '--json'], { isJson: true, socket: undefined }],
      [['--socket', '/s', 'credentials'], { isJson: false, socket: '/s' }],
    ] as const) {
      assert.deepEqual(parse(...argv), { kind: 'overview', globals });
    }
  });

  it('returns help for one command, for a group of commands, and for all', () => {
    for (const [argv, words, isAsked] of [
      [[], [], false],
      [['cred', 'slot'], ['slot'], false],
      [['--help'], [], true],
      [['help'], [], true],
      [['credential', '-h'], [], true],
      [['credential', 'help', 'slot'], ['slot'], true],
      [['credential', 'slot', '--help'], ['slot'], true],
    ] as const) {
      assert.deepEqual(parse(...argv), { kind: 'help', words, command: undefined, isAsked });
    }
    for (const argv of [
      ['credential', 'get', '--help'],
      ['--help', 'credential', 'get'],
      ['help', 'credential', 'get'],
      ['credential', 'help', 'get'],
      ['credential', 'get', '--unknown', '-h', 'too', 'many'],
    ]) {
      const request = parse(...argv);
      assert.ok(request.kind === 'help' && request.command?.name === 'get' && request.isAsked, argv.join(' '));
    }
  });

  it('returns the version for --version and -V, but leaves --version of get to get', () => {
    assert.deepEqual(parse('--version'), { kind: 'version' });
    assert.deepEqual(parse('credential', '-V'), { kind: 'version' });
    assert.equal(run('get', 'x', '--version', '3').command.name, 'get');
  });

  it('refuses missing, surplus and wrong arguments', () => {
    for (const [message, ...argv] of [
      ['NAME is missing', 'get'],
      ['NAME|SET|UUID is missing', 'remove'],
      ['SET is missing', 'env', '--json'],
      ['1 argument too many', 'get', 'a', 'b'],
      ['2 arguments too many: it takes none', 'lock', 'a', 'b'],
      ['--replace takes no value', 'create', 'x', '--replace=yes'],
      ['--version needs N', 'get', 'x', '--version'],
      ['--version needs a whole number', 'get', 'x', '--version', '0'],
      ['--version needs a whole number', 'get', 'x', '--version', '1e3'],
      ['--version needs a whole number', 'get', 'x', '--version=1234567890123456'],
      ['--from-file needs PATH', 'create', 'x', '--from-file', '--replace'],
      ['--from-file needs PATH', 'create', 'x', '--from-file='],
      ['--owner is given twice', 'list', '--owner', '1', '--owner', '2'],
      ['--socket needs', 'list', '--socket='],
      ['did you mean list?', 'lsit'],
      ['did you mean add?', 'slot', 'ad'],
      ['did you mean --json?', 'list', '--jsno'],
      // The words of pass and vault.
      ['did you mean create?', 'insert', 'x'],
      ['did you mean create?', 'set', 'x', 'y'],
      ['did you mean get?', 'show', 'x'],
      ['cio credential slot has no such command', 'slot', 'put'],
    ] as const) {
      const told = refusal('credential', ...argv);
      assert.ok(told.includes(message), `${argv.join(' ')}: ${told}`);
    }
    assert.match(refusal('credentail', 'list'), /did you mean credential\?/);
    for (const argv of [
      ['credential', '--socket'],
      ['--socket=', 'credential'],
      ['--socket=', 'credential', 'list'],
      ['--socket', '--json', 'credential'],
    ]) {
      assert.match(refusal(...argv), /--socket needs a path/);
    }
    assert.match(refusal('--jsno', 'credential'), /^argument 1 is not an option of cio.*did you mean --json\?/);
    assert.match(refusal('credential', 'list', '--owner', '1', '--owner', '2'), /given twice \(\)$/);
    assert.match(refusal('credential', 'list', '--socket', '--owner=1'), /--socket needs PATH \(.*--socket=PATH\)$/);
  });

  it('says where to put a value that begins with dashes', () => {
    assert.match(
      refusal('credential', 'create', 'x', '-----BEGIN PRIVATE KEY-----'),
      /goes after --, or on standard input/,
    );
  });

  it('never repeats an argument that may be a misplaced secret', () => {
    const secret = 'wJalrXUtnFEMIbPxRfiCYEXAMPLEKEY';
    for (const argv of [
      [secret],
      [`--${secret}`],
      ['credential', secret],
      ['credential', 'slot', secret],
      ['credential', 'get', `--${secret}`],
      ['credential', 'get', `-${secret}`],
      ['credential', 'get', 'x', secret],
      ['credential', 'get', 'x', `--version=${secret}`],
      ['credential', 'get', 'x', '--version', secret],
      ['credential', 'create', 'x', `--replace=${secret}`],
      ['credential', 'create', 'x', `-----BEGIN ${secret}`],
    ]) {
      assert.ok(!refusal(...argv).includes(secret.slice(0, 8)), argv.join(' '));
    }
  });

  it('throws nothing but usage errors for any command line', () => {
    const word = fc.oneof(
      fc.constantFrom('credential', 'create', 'get', 'exec', 'slot', '--', '--json', '-j', '--owner', '--version', '-'),
      anyText,
    );
    fc.assert(
      fc.property(fc.array(word, { maxLength: 8 }), (argv) => {
        try {
          parse(...argv);
        } catch (error) {
          assert.ok(error instanceof CommandError && error.code === 'Usage', String(error));
        }
      }),
    );
  });
});

describe('wantsJson()', () => {
  it('sees --json and -j, but not those after -- of exec', () => {
    assert.equal(wantsJson(['credential', 'nonsense', '--json']), true);
    assert.equal(wantsJson(['-j']), true);
    assert.equal(wantsJson(['credential', 'exec', 'aws', '--', 'x', '--json']), false);
  });
});

describe('usageOf()', () => {
  it('marks required and optional arguments', () => {
    const usages = Object.fromEntries(COMMANDS.map((command) => [command.name, usageOf(command)]));
    assert.equal(usages['create'], 'cio credential create [NAME] [VALUE]');
    assert.equal(usages['list'], 'cio credential list [PATTERN...]');
    assert.equal(usages['remove'], 'cio credential remove NAME|SET|UUID...');
    assert.equal(usages['exec'], 'cio credential exec SET -- COMMAND...');
  });
});
