import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { NODE_FLAGS } from '../support/cio.ts';
import { COMPILING, SLOW_COMPILER } from '../support/compiling.ts';
import { plainEnvironment, run, runSuccessfully, Service } from '../support/process.ts';
import type { Scope } from '../support/scope.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const REPOSITORY = path.join(import.meta.dirname, '..', '..');
const NODE_PACKAGE = `node-linux-${process.arch}`;

/** Stands in for the command line or the daemon: prints how it was started, as JSON. */
const REPORTER = `process.stdout.write(JSON.stringify({
  script: __filename, node: process.execPath, version: process.version, pid: process.pid,
  argv: process.argv.slice(2), execArgv: process.execArgv, env: process.env,
}));`;

interface Report {
  readonly script: string;
  readonly node: string;
  readonly version: string;
  readonly pid: number;
  readonly argv: readonly string[];
  readonly execArgv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/** Makes a package, laid out as npm does, in a folder whose path has a space. */
function makePackage(scope: Scope, options: { readonly runtime?: 'own' | 'hoisted' | 'none' } = {}): string {
  const directory = path.join(temporaryDirectory(scope), 'a folder', 'node_modules', 'cio-credentiald');
  fs.cpSync(path.join(REPOSITORY, 'bin'), path.join(directory, 'bin'), { recursive: true });
  fs.writeFileSync(path.join(directory, 'package.json'), '{"type":"commonjs"}');
  writeFile(path.join(directory, 'dist', 'cio.cjs'), REPORTER);
  writeFile(path.join(directory, 'dist', 'daemon', 'main.js'), REPORTER);
  const { runtime = 'own' } = options;
  if (runtime !== 'none') {
    const modules = runtime === 'own' ? path.join(directory, 'node_modules') : path.join(directory, '..');
    fs.mkdirSync(path.join(modules, NODE_PACKAGE, 'bin'), { recursive: true });
    fs.symlinkSync(process.execPath, path.join(modules, NODE_PACKAGE, 'bin', 'node'));
  }
  return directory;
}

function writeFile(file: string, content: string, mode = 0o644): void {
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(file, content, { mode });
}

async function report(command: readonly string[], options: Parameters<typeof run>[1] = {}): Promise<Report> {
  return JSON.parse(await runSuccessfully(command, options)) as Report;
}

describe('bin/cio', () => {
  test('exits with 1 and an error message when standard output is closed', async () => {
    const cio = path.join(REPOSITORY, 'bin/cio');
    const { code, stderr } = await run(['/bin/sh', '-c', '"$0" --version >&-', cio]);
    assert.equal(code, 1);
    assert.match(stderr, /^Failed: cannot write to standard output: .*EBADF\)?\n$/);
    assert.equal((await run(['/bin/sh', '-c', '"$0" --version >/dev/null', cio])).code, 0);
    // A usage error prints nothing to standard output.
    assert.equal((await run(['/bin/sh', '-c', '"$0" </dev/null >&-', cio])).code, 2);
  });

  test('runs the built command line and passes its arguments on unchanged', async (t) => {
    const directory = makePackage(t);
    const args = ['credential', 'create', 'a b', '', '*', '$HOME', '"'];
    const seen = await report([path.join(directory, 'bin/cio'), ...args]);
    assert.deepEqual(seen.argv, args);
    assert.deepEqual(seen.execArgv, NODE_FLAGS);
    assert.equal(seen.script, fs.realpathSync(path.join(directory, 'dist/cio.cjs')));
  });

  for (const runtime of ['own', 'hoisted'] as const) {
    test(`runs on the ${runtime} pinned Node, whichever node is in PATH`, async (t) => {
      const directory = makePackage(t, { runtime });
      const other = temporaryDirectory(t);
      writeFile(path.join(other, 'node'), '#!/bin/sh\nexit 99\n', 0o755);
      const env = { ...plainEnvironment(), PATH: `${other}:/usr/bin:/bin` };
      const seen = await report([path.join(directory, 'bin/cio')], { env });
      assert.equal(seen.version, process.version);
    });
  }

  test('can be started through links: in node_modules/.bin, from a home folder to that link, and relative', async (t) => {
    const directory = makePackage(t);
    const npmLink = path.join(directory, '..', '.bin', 'cio');
    fs.mkdirSync(path.dirname(npmLink));
    fs.symlinkSync('../cio-credentiald/bin/cio', npmLink);
    const homeLink = path.join(temporaryDirectory(t), 'my cio');
    fs.symlinkSync(npmLink, homeLink);
    for (const link of [npmLink, homeLink]) {
      assert.deepEqual((await report([link, 'through', 'a link'])).argv, ['through', 'a link']);
    }
    const env = { ...plainEnvironment(), PATH: `${path.dirname(npmLink)}:/usr/bin:/bin` };
    assert.deepEqual((await report(['cio', 'by PATH'], { env })).argv, ['by PATH']);
    assert.deepEqual((await report(['sh', 'cio', 'by name'], { cwd: path.join(directory, 'bin') })).argv, ['by name']);
  });

  test('can be started through a link to its folder', async (t) => {
    const directory = makePackage(t);
    const home = temporaryDirectory(t);
    fs.symlinkSync(path.join(directory, 'bin'), path.join(home, 'bin'));
    fs.symlinkSync('bin/cio', path.join(home, 'cio'));
    for (const link of [path.join(home, 'bin/cio'), path.join(home, 'cio')]) {
      assert.deepEqual((await report([link, 'word'])).argv, ['word']);
    }
  });

  test("does not wait at exit for V8's background compilation", async (t) => {
    const directory = makePackage(t);
    writeFile(path.join(directory, 'dist', 'cio.cjs'), `${COMPILING} process.exit(7);`);
    const node = path.join(directory, 'node_modules', NODE_PACKAGE, 'bin', 'node');
    fs.rmSync(node);
    writeFile(node, `#!/bin/sh\nexec '${process.execPath}' ${SLOW_COMPILER} "$@"\n`, 0o755);
    assert.equal((await run([path.join(directory, 'bin/cio')], { timeoutMs: 20_000 })).code, 7);
  });

  test('runs with an empty environment', async (t) => {
    const directory = makePackage(t);
    const seen = await report([path.join(directory, 'bin/cio')], { env: {} });
    assert.equal(seen.version, process.version);
  });

  test('leaves no shell behind: the command line runs under the pid that was started', async (t) => {
    const directory = makePackage(t);
    const service = new Service(t, [path.join(directory, 'bin/cio')]);
    await service.exited;
    assert.equal((JSON.parse(service.output) as Report).pid, service.pid);
  });

  test('leaves the environment unchanged for the commands that cio runs', async (t) => {
    const directory = makePackage(t);
    const env = { ...plainEnvironment(), NODE_OPTIONS: '--no-deprecation', NODE_PATH: '/nowhere' };
    const seen = await report([path.join(directory, 'bin/cio')], { env });
    assert.deepEqual([seen.env['NODE_OPTIONS'], seen.env['NODE_PATH']], ['--no-deprecation', '/nowhere']);
  });

  test('runs the sources when nothing is built', async (t) => {
    const directory = makePackage(t);
    fs.rmSync(path.join(directory, 'dist'), { recursive: true });
    writeFile(path.join(directory, 'client', 'cio', 'main.js'), REPORTER);
    fs.renameSync(path.join(directory, 'client/cio/main.js'), path.join(directory, 'client/cio/main.ts'));
    // Node does not strip types from TypeScript files below node_modules.
    const checkout = path.join(temporaryDirectory(t), 'checkout');
    fs.renameSync(directory, checkout);
    assert.deepEqual((await report([path.join(checkout, 'bin/cio'), 'x'])).argv, ['x']);
  });

  test('runs on the Node in PATH if that is recent enough and there is no pinned Node', async (t) => {
    const directory = makePackage(t, { runtime: 'none' });
    const other = temporaryDirectory(t);
    fs.symlinkSync(process.execPath, path.join(other, 'node'));
    const seen = await report([path.join(directory, 'bin/cio')], { env: { PATH: `${other}:/usr/bin:/bin` } });
    assert.equal(seen.version, process.version);
  });

  for (const [what, version] of [
    ['is too old', 'v20.19.2'],
    ['says nothing sensible', 'what?'],
    ['is not there', undefined],
  ] as const) {
    test(`prints what to do if there is no pinned Node and the one in PATH ${what}`, async (t) => {
      const directory = makePackage(t, { runtime: 'none' });
      const other = temporaryDirectory(t);
      if (version !== undefined) writeFile(path.join(other, 'node'), `#!/bin/sh\necho '${version}'\n`, 0o755);
      const { code, stdout, stderr } = await run([path.join(directory, 'bin/cio')], { env: { PATH: other } });
      assert.deepEqual([code, stdout.toString()], [1, '']);
      assert.match(stderr, /^cio: needs Node 24, found: (?:v20\.19\.2|what\?|none)\n.*npm ci/);
    });
  }
});

describe('bin/docker-credential-cio and bin/git-credential-cio', () => {
  for (const [launcher, command] of [
    ['docker-credential-cio', '__docker-credential'],
    ['git-credential-cio', '__git-credential'],
  ] as const) {
    test(`${launcher} runs its hidden command of cio, through a link, and passes its arguments on unchanged`, async (t) => {
      const link = path.join(temporaryDirectory(t), launcher);
      fs.symlinkSync(path.join(makePackage(t), 'bin', launcher), link);
      const seen = await report([link, '--version']);
      assert.deepEqual(seen.argv, ['credential', command, '--', '--version']);
    });
  }
});

describe('bin/cio-credentiald', () => {
  test('runs the built daemon with its arguments, replacing the shell', async (t) => {
    const directory = makePackage(t);
    const service = new Service(t, [path.join(directory, 'bin/cio-credentiald'), '--user', '--state-dir', 'a b']);
    await service.exited;
    const seen = JSON.parse(service.output) as Report;
    assert.deepEqual(seen.argv, ['--user', '--state-dir', 'a b']);
    assert.equal(seen.pid, service.pid);
    assert.equal(seen.script, fs.realpathSync(path.join(directory, 'dist/daemon/main.js')));
  });

  test('removes the variables that would add Node options, modules or traces to the process that holds the keys', async (t) => {
    const directory = makePackage(t);
    const intruder = path.join(temporaryDirectory(t), 'intruder.cjs');
    writeFile(intruder, 'process.exit(98)');
    const env = {
      ...plainEnvironment(),
      NODE_OPTIONS: `--require=${intruder} --inspect=127.0.0.1:0`,
      NODE_PATH: path.dirname(intruder),
      NODE_DEBUG: 'net',
      NODE_DEBUG_NATIVE: 'inspector_server',
      NODE_COMPILE_CACHE: path.dirname(intruder),
      NODE_CHANNEL_FD: '0',
      NODE_UNIQUE_ID: '7',
    };
    const seen = await report([path.join(directory, 'bin/cio-credentiald')], { env });
    assert.deepEqual(
      Object.keys(seen.env).filter((name) => /^NODE_(?:OPTIONS|PATH|DEBUG|COMPILE_CACHE|CHANNEL|UNIQUE_ID)/.test(name)),
      [],
    );
    assert.deepEqual(seen.execArgv, ['--disable-sigusr1', '--max-semi-space-size=1', '--v8-pool-size=1']);
  });

  test('opens no debugger on SIGUSR1', async (t) => {
    const directory = makePackage(t);
    writeFile(
      path.join(directory, 'dist', 'daemon', 'main.js'),
      `process.once('SIGTERM', () => { console.log(require('node:inspector').url() ?? 'no debugger'); process.exit(); });
       setInterval(() => undefined, 1e6); console.log('up');`,
    );
    const service = new Service(t, [path.join(directory, 'bin/cio-credentiald')]);
    await service.printed('up');
    service.signal('SIGUSR1');
    assert.deepEqual(await service.stop('SIGTERM'), { code: 0, signal: null });
    assert.equal(service.output, 'up\nno debugger\n');
  });
});

describe('the package', () => {
  test('runs as npm packs it, with only its dependencies installed', async (t) => {
    const directory = temporaryDirectory(t);
    const npm = npmCommand();
    if (npm === undefined) return t.skip('needs npm');
    // npm's cache and update notifier would write to the home folder, which need not be writable.
    const env = { ...process.env, npm_config_update_notifier: 'false', npm_config_cache: temporaryDirectory(t) };
    await runSuccessfully([process.execPath, path.join(REPOSITORY, 'tools/tasks/build.ts')]);
    await runSuccessfully([...npm, 'pack', '--ignore-scripts', '--pack-destination', directory], {
      cwd: REPOSITORY,
      env,
    });
    const archive = fs.readdirSync(directory).find((name) => name.endsWith('.tgz')) ?? '';
    await runSuccessfully(['tar', '-xzf', archive], { cwd: directory });
    const modules = path.join(directory, 'node_modules');
    fs.mkdirSync(modules);
    fs.renameSync(path.join(directory, 'package'), path.join(modules, 'cio-credentiald'));
    for (const name of fs.readdirSync(path.join(REPOSITORY, 'node_modules'))) {
      if (!name.startsWith('.')) fs.symlinkSync(path.join(REPOSITORY, 'node_modules', name), path.join(modules, name));
    }

    const files = fs.readdirSync(path.join(modules, 'cio-credentiald'), { recursive: true, encoding: 'utf8' });
    assert.deepEqual(
      files.filter((file) => /tsbuildinfo|\.built-from|(?<!\.d)\.ts$|^dist\/client\/cio\b/.test(file)),
      [],
    );
    const { version } = JSON.parse(fs.readFileSync(path.join(REPOSITORY, 'package.json'), 'utf8')) as {
      version: string;
    };
    for (const name of ['cio', 'cio-credentiald']) {
      const printed = await runSuccessfully([path.join(modules, 'cio-credentiald', 'bin', name), '--version']);
      assert.equal(printed.trim(), version);
    }
    const library = "const { connect } = await import('cio-credentiald'); console.log(typeof connect);";
    const imported = await runSuccessfully([process.execPath, '--input-type=module', '-e', library], {
      cwd: directory,
    });
    assert.equal(imported.trim(), 'function');
  });

  test('is what `npx cio` runs in a checkout and in its subfolders, without a network', async (t) => {
    const npm = npmCommand();
    if (npm === undefined) return t.skip('needs npm');
    const checkout = path.join(temporaryDirectory(t), 'checkout');
    fs.renameSync(makePackage(t), checkout);
    fs.copyFileSync(path.join(REPOSITORY, 'package.json'), path.join(checkout, 'package.json'));
    const folder = path.join(checkout, 'docs');
    fs.mkdirSync(folder);
    const env = { ...process.env, npm_config_cache: temporaryDirectory(t), npm_config_registry: 'http://127.0.0.1:1' };
    for (const cwd of [checkout, folder]) {
      const seen = await report([...npm, 'exec', '--offline', '--', 'cio', 'credential', 'list'], { cwd, env });
      assert.deepEqual(seen.argv, ['credential', 'list']);
      assert.equal(seen.version, process.version);
    }
  });
});

/** The npm that runs the tests, otherwise the one in PATH. */
function npmCommand(): readonly string[] | undefined {
  const cli = process.env['npm_execpath'];
  if (cli !== undefined && path.basename(cli) === 'npm-cli.js') return [process.execPath, cli];
  const folder = (process.env['PATH'] ?? '').split(':').find((candidate) => fs.existsSync(path.join(candidate, 'npm')));
  return folder === undefined ? undefined : [path.join(folder, 'npm')];
}
