import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseCommandLine, usageOf } from '../../../../client/cio/arguments.ts';
import { COMMANDS } from '../../../../client/cio/commands.ts';
import { completeLine } from '../../../../client/cio/completer.ts';
import { isNamedByProvider, meansSet, type SetOptions } from '../../../../client/cio/create/options.ts';
import { renderHelp } from '../../../../client/cio/help.ts';

const CREATE = COMMANDS.find(({ name }) => name === 'create');

function optionsOf(...argv: string[]): SetOptions {
  const request = parseCommandLine(['credential', 'create', ...argv], COMMANDS);
  assert.ok(request.kind === 'run');
  return request.input.options as unknown as SetOptions;
}

async function completed(line: string): Promise<readonly string[]> {
  const words = line.split(' ');
  const answer = await completeLine(words, words.length - 1, COMMANDS, () => assert.fail('it asks the daemon'));
  return answer.kind === 'words' ? answer.words : [];
}

describe('meansSet()', () => {
  it('is true for every option of a set, and false for those of a single credential', () => {
    for (const words of [
      ['--provider', 's3'],
      ['-p', 's3'],
      ['--from-env'],
      ['-l'],
      ['--ask'],
      ['--no-validate'],
      ['--profile', 'x'],
      ['--bucket', 'b'],
      ['--s3-access-key', 'AK'],
      ['--use-iam'],
      ['--nfs-server', 'h'],
      ['-t', '3'],
    ]) {
      assert.equal(meansSet(optionsOf(...words)), true, words.join(' '));
    }
    for (const words of [[], ['--replace'], ['-f', 'path'], ['--keep-newline'], ['--owner', '0'], ['name', 'value']]) {
      assert.equal(meansSet(optionsOf(...words)), false, words.join(' '));
    }
  });
});

describe('isNamedByProvider()', () => {
  it('looks at the first word of a valid set name', () => {
    for (const [name, expected] of [
      ['aws', true],
      ['aws_site2', true],
      ['alt_minio', true],
      ['site2', false],
      ['awsome', false],
      ['aws site', false],
    ] as const) {
      assert.equal(isNamedByProvider(name), expected, name);
    }
  });
});

describe('the options of create', () => {
  it('are grouped in the help, which leaves out those that are always refused', async () => {
    assert.ok(CREATE !== undefined);
    const help = await renderHelp({
      command: CREATE,
      words: ['create'],
      commands: COMMANDS,
      usage: usageOf(CREATE),
      width: 80,
    });
    for (const heading of [
      'A whole set:',
      'Fields for s3, aws and minio:',
      'Fields for azure:',
      'Fields for google:',
    ]) {
      assert.ok(help.includes(`\n${heading}\n`), heading);
    }
    assert.doesNotMatch(help, /nfs|workload/);
    assert.ok(help.split('\n').every((line) => line.length <= 80));
  });

  it('have examples in the help that can be copied', async () => {
    assert.ok(CREATE !== undefined);
    const request = { command: CREATE, words: ['create'], commands: COMMANDS, usage: usageOf(CREATE) };
    for (const width of [30, 80, 200]) {
      const lines = (await renderHelp({ ...request, width })).replaceAll(/ \\\n +/g, ' ').split('\n');
      for (const [line, what] of CREATE.examples) {
        assert.ok(lines.includes(`  ${line}`), `${width}: ${line}`);
        assert.ok(what === '' || lines.includes(`  # ${what}`), `${width}: ${what}`);
      }
    }
  });

  it('are completed, and so are their values where these are known', async () => {
    assert.deepEqual(await completed('cio cred create --azure'), ['--azure-account-key', '--azure-account-name']);
    assert.deepEqual(await completed('cio cred create --nfs'), []);
    assert.deepEqual(await completed('cio cred create --provider '), ['aws', 'azure', 'google', 'minio', 's3']);
    assert.deepEqual(await completed('cio cred create --provider=g'), ['--provider=google']);
    assert.deepEqual(await completed('cio cred list -o '), ['json', 'name', 'table', 'wide', 'yaml']);
  });
});

describe('the group name `credentials`', () => {
  it('is recognised as that of Portworx, and no other is', () => {
    for (const [group, isPortworx] of [
      ['credentials', true],
      ['credential', undefined],
      ['cred', undefined],
    ] as const) {
      const request = parseCommandLine([group, 'list'], COMMANDS);
      assert.ok(request.kind === 'run');
      assert.equal(request.globals.isPortworx, isPortworx);
    }
  });
});
