import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { packageVersion, stageCommands, stageProgram, stageUnits, verifyProgram } from '../../tools/tasks/stage.ts';

const ROOT = path.join(import.meta.dirname, '..', '..');

/** The prefix for which the tree is staged, different from the one in the units of systemd/. */
const PREFIX = '/usr/local';

/** Node alone takes up 121 MiB. */
const TREE_BYTES_MAX = 200 * 1024 * 1024;

/**
 * The permitted file name extensions: of built code, data, machine code, licences and documents. Files without one are
 * checked by name.
 */
const ENDINGS = new Set([
  '',
  '.js',
  '.cjs',
  '.mjs',
  '.json',
  '.node',
  '.cache',
  '.md',
  '.txt',
  '.sh',
  '.service',
  '.timer',
]);
const WITHOUT_ENDING =
  /^(?:bin\/cio|bin\/cio-credentiald|bin\/cio-credential-prober|bin\/(?:docker|git)-credential-cio|make-root-key|LICENSE|node_modules\/.*\/(?:LICEN[CS]E[^/]*|COPYING|NOTICE|bin\/node))$/i;

describe('the staged tree', () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'cio-stage-'));
  const program = path.join(folder, 'lib', 'cio-credentiald');

  before(() => {
    stageProgram(program, PREFIX);
    stageUnits(folder, PREFIX);
    stageCommands(folder, program, true);
  });
  after(() => fs.rmSync(folder, { recursive: true }));

  function filesOf(directory: string): { readonly name: string; readonly stat: fs.Stats }[] {
    return fs
      .readdirSync(directory, { recursive: true, encoding: 'utf8' })
      .map((name) => ({ name, stat: fs.lstatSync(path.join(directory, name)) }));
  }

  it('runs: both programs, and every module with machine code', () => {
    verifyProgram(program);
  });

  for (const launcher of ['cio', 'cio-credentiald']) {
    it(`${launcher} runs through its link with an empty environment, on the Node that comes with it`, () => {
      const link = path.join(folder, launcher === 'cio' ? 'bin' : 'sbin', launcher);
      const { stdout, stderr } = spawnSync(link, ['--version'], { env: {}, cwd: '/', encoding: 'utf8' });
      assert.deepEqual({ stdout: stdout.trim(), stderr }, { stdout: packageVersion(), stderr: '' });
    });
  }

  it('has programs, licences and documents only', () => {
    const odd = filesOf(program)
      .filter(({ stat }) => stat.isFile())
      .map(({ name }) => name)
      .filter((name) => !ENDINGS.has(path.extname(name)) && !WITHOUT_ENDING.test(name));
    assert.deepEqual(odd, []);
    const bare = filesOf(program)
      .filter(({ name, stat }) => stat.isFile() && path.extname(name) === '' && !WITHOUT_ENDING.test(name))
      .map(({ name }) => name);
    assert.deepEqual(bare, []);
  });

  it("has none of the project's sources, no types, no tests and no build inputs", () => {
    const names = filesOf(program).map(({ name }) => name);
    for (const pattern of [/\.ts$/, /\.map$/, /\.tsbuildinfo$/, /(?:^|\/)binding\.gyp$/, /\/deps\//, /\/include\//]) {
      assert.deepEqual(
        names.filter((name) => pattern.test(name)),
        [],
        String(pattern),
      );
    }
    for (const name of [
      'src',
      'daemon',
      'client',
      'test',
      'tools',
      'node_modules/typescript',
      'node_modules/esbuild',
    ]) {
      assert.ok(!names.includes(name), name);
    }
  });

  it('has machine code for this machine only, and each file once', () => {
    const addons = filesOf(program)
      .map(({ name }) => name)
      .filter((name) => name.endsWith('.node'));
    assert.deepEqual(addons.toSorted(), [
      `node_modules/@koromix/koffi-linux-${process.arch}/linux_${process.arch}/koffi.node`,
      `node_modules/better-sqlite3/prebuilds/linux-${process.arch}.node`,
    ]);
    const nodes = fs.globSync('node_modules/node-linux-*', { cwd: program });
    assert.deepEqual(nodes, [`node_modules/node-linux-${process.arch}`]);
  });

  it('has the pinned Node unchanged', () => {
    const node = path.join('node_modules', `node-linux-${process.arch}`, 'bin', 'node');
    assert.ok(fs.readFileSync(path.join(program, node)).equals(fs.readFileSync(path.join(ROOT, node))));
  });

  it('is writable by its owner only and readable by everyone', () => {
    const odd = filesOf(folder)
      .filter(({ stat }) => !stat.isSymbolicLink())
      .filter(
        ({ stat }) => ![0o644, 0o755].includes(stat.mode & 0o7777) || (stat.isDirectory() && (stat.mode & 0o111) === 0),
      )
      .map(({ name }) => name);
    assert.deepEqual(odd, []);
  });

  it(`is at most ${TREE_BYTES_MAX} bytes`, () => {
    const bytes = filesOf(folder).reduce((sum, { stat }) => sum + stat.size, 0);
    assert.ok(bytes <= TREE_BYTES_MAX, `${bytes} bytes`);
  });

  it('has units that start the program at its installed path', () => {
    const unit = fs.readFileSync(path.join(folder, 'lib/systemd/system/cio-credentiald.service'), 'utf8');
    assert.match(unit, /^ExecStart=\/usr\/local\/lib\/cio-credentiald\/bin\/cio-credentiald --system$/m);
    assert.match(unit, /^ExecPaths=.* \/usr\/local\/lib$/m);
    assert.doesNotMatch(unit, /[= ]\/usr\/lib\/cio-credentiald/);
    assert.ok(fs.existsSync(path.join(folder, 'lib/sysusers.d/cio-credentiald.conf')));
    assert.ok(fs.existsSync(path.join(folder, 'lib/tmpfiles.d/cio-credentiald.conf')));
  });

  it('has a manual page for each command', () => {
    for (const directory of ['bin', 'sbin']) {
      for (const command of fs.readdirSync(path.join(folder, directory))) {
        const number = directory === 'bin' ? 1 : 8;
        const page = path.join(folder, `share/man/man${number}/${command}.${number}`);
        assert.match(fs.readFileSync(page, 'utf8'), /^\.(?:TH|so) /, command);
      }
    }
    assert.ok(!filesOf(program).some(({ name }) => name.startsWith('dist/man') || name.startsWith('docs/man')));
  });

  it('has completion for each shell', () => {
    for (const [file, pattern] of [
      ['share/bash-completion/completions/cio', /^complete -F _cio cio$/m],
      ['share/zsh/vendor-completions/_cio', /^#compdef cio$/m],
      ['share/fish/vendor_completions.d/cio.fish', /^complete -c cio /m],
    ] as const) {
      assert.match(fs.readFileSync(path.join(folder, file), 'utf8'), pattern);
    }
  });
});

describe('verifyProgram()', () => {
  it('names the program that does not run', (t) => {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'cio-stage-'));
    t.after(() => fs.rmSync(folder, { recursive: true }));
    assert.throws(() => verifyProgram(folder), /^Error: the staged bin\/cio does not run: /);
  });
});
