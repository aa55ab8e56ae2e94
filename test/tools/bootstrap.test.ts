import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { plainEnvironment, run, runSuccessfully, Service } from '../support/process.ts';
import type { Finished } from '../support/process.ts';
import type { Scope } from '../support/scope.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const REPOSITORY = path.join(import.meta.dirname, '..', '..');
const NODE_PACKAGE = `node_modules/node-linux-${process.arch}`;

/** Stands in for npm: logs its call, and installs empty packages as the lock file says. */
const NPM = `
import fs from 'node:fs';
const { LOG, WAIT_FOR, FAIL_WITH, LEAVE_OUT } = process.env;
fs.appendFileSync(LOG, 'npm begins on ' + process.version + ': ' + process.argv.slice(2).join(' ') + '\\n');
if (WAIT_FOR) fs.readFileSync(WAIT_FOR);
if (FAIL_WITH) { console.error(FAIL_WITH); process.exit(1); }
const { packages } = JSON.parse(fs.readFileSync('package-lock.json', 'utf8'));
fs.rmSync('node_modules', { recursive: true, force: true });
for (const [location, { version }] of Object.entries(packages)) {
  if (location === '' || location === LEAVE_OUT || location.includes('other-machine')) { delete packages[location]; continue; }
  fs.mkdirSync(location + '/bin', { recursive: true });
  fs.writeFileSync(location + '/package.json', JSON.stringify({ version }));
  if (location.includes('node-linux')) fs.symlinkSync(process.execPath, location + '/bin/node');
}
fs.writeFileSync('node_modules/.package-lock.json', JSON.stringify({ packages }));
fs.appendFileSync(LOG, 'npm ends\\n');
`;

const DAEMON = `
for (const signal of ['SIGINT', 'SIGHUP']) process.on(signal, () => console.log('got ' + signal));
process.on('SIGTERM', () => process.exit(7));
setInterval(() => undefined, 1e6);
console.log('the daemon runs with ' + process.argv.slice(2).join(' '));
`;

/** A checkout with the real bootstrap and stand-ins for everything else. */
class Checkout {
  readonly directory: string;
  readonly #log: string;
  readonly #npm: string;

  constructor(scope: Scope) {
    const directory = temporaryDirectory(scope);
    this.directory = path.join(directory, 'checkout');
    this.#log = path.join(directory, 'log');
    this.#npm = path.join(directory, 'npm-cli.js');
    for (const part of ['bin', 'tools/bootstrap', 'tools/bootstrap.mjs', 'tools/tasks']) {
      fs.cpSync(path.join(REPOSITORY, part), path.join(this.directory, part), { recursive: true });
    }
    fs.writeFileSync(path.join(directory, 'package.json'), '{"type":"module"}');
    fs.writeFileSync(this.#npm, NPM);
    this.write('package.json', '{"type":"module"}');
    this.write('tools/tasks/build.ts', `import fs from 'node:fs'; fs.appendFileSync(process.env['LOG']!, 'build\\n');`);
    this.write('dist/daemon/main.js', DAEMON);
    this.lock({ tool: '1.0.0' });
  }

  write(file: string, content: string): void {
    fs.mkdirSync(path.dirname(path.join(this.directory, file)), { recursive: true });
    fs.writeFileSync(path.join(this.directory, file), content);
  }

  /**
   * Writes a lock file with these packages, the pinned Node, and packages that npm does not install on this machine.
   */
  lock(packages: Readonly<Record<string, string>>): void {
    const locked = Object.entries(packages).map(([name, version]) => [`node_modules/${name}`, { version }]);
    this.write(
      'package-lock.json',
      JSON.stringify({
        packages: {
          '': { name: 'checkout' },
          [NODE_PACKAGE]: { version: '24.0.0', optional: true, os: ['linux'], cpu: [process.arch] },
          'node_modules/other-machine': { version: '1.0.0', optional: true, os: ['linux'], cpu: ['m68k'] },
          'node_modules/other-machine-needs': { version: '1.0.0', optional: true },
          ...Object.fromEntries(locked),
        },
      }),
    );
  }

  /** Returns the calls of npm and of the build since the last time this was called. */
  calls(): string[] {
    if (!fs.existsSync(this.#log)) return [];
    const lines = fs.readFileSync(this.#log, 'utf8').trimEnd().split('\n');
    fs.rmSync(this.#log);
    return lines.map((line) => line.replace(/^npm begins .*/, 'npm begins'));
  }

  command(...args: string[]): string[] {
    return [process.execPath, path.join(this.directory, 'tools/bootstrap.mjs'), ...args];
  }

  environment(more: Readonly<Record<string, string>> = {}): Record<string, string> {
    return { ...plainEnvironment(), npm_execpath: this.#npm, LOG: this.#log, ...more };
  }

  bootstrap(args: readonly string[], environment?: Readonly<Record<string, string>>): Promise<Finished> {
    return run(this.command(...args), { env: this.environment(environment) });
  }

  service(scope: Scope, args: readonly string[], environment?: Readonly<Record<string, string>>): Service {
    return new Service(scope, this.command(...args), { env: this.environment(environment) });
  }
}

const INSTALLED = ['npm begins', 'npm ends', 'build'];

describe('bootstrap: installing', () => {
  test('installs what is missing and reports it, and does neither the second time', async (t) => {
    const checkout = new Checkout(t);
    const first = await checkout.bootstrap(['build']);
    assert.equal(first.code, 0, first.stderr);
    assert.match(first.stderr, /^Installing the pinned Node and the dependencies .*\nInstalled in \d+ s\.\n$/);
    assert.deepEqual(checkout.calls(), INSTALLED);
    const link = path.join(checkout.directory, 'node_modules/.bin/node');
    assert.equal(fs.realpathSync(link), process.execPath, 'which npm before version 11 does not make');
    const second = await checkout.bootstrap(['build']);
    assert.deepEqual([second.code, second.stderr], [0, '']);
    assert.deepEqual(checkout.calls(), ['build']);
  });

  test('calls npm on the pinned version of Node, with development and optional packages and without scripts', async (t) => {
    const checkout = new Checkout(t);
    await checkout.bootstrap(['build'], { NODE_ENV: 'production' });
    const [first] = fs.readFileSync(path.join(checkout.directory, '..', 'log'), 'utf8').split('\n');
    assert.match(first ?? '', /^npm begins on v24\.0\.0: ci --ignore-scripts --include=dev --include=optional /);
  });

  const stale: Readonly<Record<string, (checkout: Checkout) => void>> = {
    'the lock file names another version': (checkout) => checkout.lock({ tool: '1.0.1' }),
    'the lock file names one more package': (checkout) => checkout.lock({ tool: '1.0.0', more: '1.0.0' }),
    'a package is gone': ({ directory }) => fs.rmSync(path.join(directory, 'node_modules/tool'), { recursive: true }),
    'the pinned Node is gone': ({ directory }) => fs.rmSync(path.join(directory, NODE_PACKAGE), { recursive: true }),
    'an install was interrupted': ({ directory }) => fs.rmSync(path.join(directory, 'node_modules/.package-lock.json')),
    'the record of the install is cut short': (checkout) => checkout.write('node_modules/.package-lock.json', '{"pack'),
  };
  for (const [what, damage] of Object.entries(stale)) {
    test(`installs again when ${what}`, async (t) => {
      const checkout = new Checkout(t);
      await checkout.bootstrap(['build']);
      checkout.calls();
      damage(checkout);
      assert.equal((await checkout.bootstrap(['build'])).code, 0);
      assert.deepEqual(checkout.calls(), INSTALLED);
      await checkout.bootstrap(['build']);
      assert.deepEqual(checkout.calls(), ['build']);
    });
  }

  const failures = {
    'npm error code ENOTFOUND': /cannot be reached\. Check the network/,
    'npm error code ENOSPC': /The disk is full/,
    'npm error code EACCES': /is not writable/,
    'npm error code EACCES\nnpm error path /home/x/.npm': /cannot write to \/home\/x\/\.npm\. Is HOME right\?/,
    'npm error code EUSAGE': /do not agree\. Run npm install/,
    'npm error something new': /Fix what npm reports/,
  };
  for (const [output, next] of Object.entries(failures)) {
    test(`shows "${output}" with a next step, and starts nothing`, async (t) => {
      const checkout = new Checkout(t);
      const { code, stderr } = await checkout.bootstrap(['start'], { FAIL_WITH: output });
      assert.equal(code, 1);
      assert.ok(stderr.includes(output));
      assert.match(stderr, next);
      assert.deepEqual(checkout.calls(), ['npm begins']);
    });
  }

  test('does not accept an install without the pinned Node', async (t) => {
    const { code, stderr } = await new Checkout(t).bootstrap(['build'], { LEAVE_OUT: NODE_PACKAGE });
    assert.equal(code, 1);
    assert.match(stderr, /npm ci could not install node_modules\/node-linux-.*run this again/);
  });

  test('reports that npm is missing', async (t) => {
    const { code, stderr } = await new Checkout(t).bootstrap(['build'], { npm_execpath: '', PATH: '/nowhere' });
    assert.equal(code, 1);
    assert.match(stderr, /npm was not found/);
  });

  test('reports that Node is too old', async (t) => {
    const asOld = "data:text/javascript,Object.defineProperty(process, 'versions', { value: { node: '16.20.2' } })";
    const [node = '', ...args] = new Checkout(t).command('start');
    const { code, stderr } = await run([node, '--import', asOld, ...args]);
    assert.equal(code, 1);
    assert.match(stderr, /^Node 16\.20\.2 is too old/);
  });

  test('prints its usage when called with an unknown task', async (t) => {
    const { code, stderr } = await new Checkout(t).bootstrap(['toString']);
    assert.equal(code, 2);
    assert.match(stderr, /^usage: .*start\|test\|test:host\|check\|build\|bench/);
  });
});

describe('bootstrap: two at the same time', () => {
  test('the second waits for the first, and finds everything installed', async (t) => {
    const checkout = new Checkout(t);
    const { first, finishInstall } = await beginInstall(t, checkout);
    const second = checkout.service(t, ['build']);
    await second.printed('Another npm command is installing or building here');
    await finishInstall();
    assert.deepEqual([(await first.exited).code, (await second.exited).code], [0, 0]);
    assert.deepEqual(checkout.calls(), [...INSTALLED, 'build']);
    assert.doesNotMatch(second.output, /Installing/);
  });

  test('the second waits for an npm whose bootstrap was killed', async (t) => {
    const checkout = new Checkout(t);
    const { first, finishInstall } = await beginInstall(t, checkout);
    await first.stop('SIGKILL');
    const second = checkout.service(t, ['build']);
    await second.printed('Another npm command is installing or building here');
    await finishInstall();
    assert.equal((await second.exited).code, 0);
    assert.deepEqual(checkout.calls(), INSTALLED);
  });

  /** Starts a bootstrap whose npm stays at work until it is told to finish. */
  async function beginInstall(
    scope: Scope,
    checkout: Checkout,
  ): Promise<{ readonly first: Service; readonly finishInstall: () => Promise<void> }> {
    const gate = path.join(checkout.directory, '..', 'gate');
    await runSuccessfully(['mkfifo', gate]);
    const first = checkout.service(scope, ['build'], { WAIT_FOR: gate });
    // If the bootstrap ends without reading from the FIFO, which fails the test, the open() for writing below is
    // released.
    const gone = first.exited.then(() => {
      fs.closeSync(fs.openSync(gate, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK));
      return assert.fail(first.output);
    });
    // Opening a FIFO for writing waits for the reader, and the reader then waits until the FIFO is closed.
    const pipe = await Promise.race([fs.promises.open(gate, 'w'), gone]);
    return { first, finishInstall: () => pipe.close() };
  }
});

describe('bootstrap start', () => {
  test("runs the user's daemon with the arguments, and ends with its exit code", async (t) => {
    const checkout = new Checkout(t);
    const service = checkout.service(t, ['start', '--state-dir', '/a b']);
    await service.printed('the daemon runs with --user --state-dir /a b\n');
    assert.deepEqual(await service.stop('SIGTERM'), { code: 7, signal: null });
  });

  test('forwards each signal once, even when it arrives twice, from the terminal and from npm', async (t) => {
    const checkout = new Checkout(t);
    const service = checkout.service(t, ['start']);
    await service.printed('the daemon runs with --user\n');
    const before = service.output.length;
    for (const signal of ['SIGINT', 'SIGHUP'] as const) {
      service.signal(signal);
      service.signal(signal);
      await service.printed(`got ${signal}`);
    }
    assert.equal((await service.stop('SIGTERM')).code, 7);
    assert.equal(service.output.slice(before), 'got SIGINT\ngot SIGHUP\n');
  });

  test('is ended by the same signal as the daemon', async (t) => {
    const checkout = new Checkout(t);
    checkout.write('dist/daemon/main.js', "setInterval(() => undefined, 1e6); console.log('up');");
    const service = checkout.service(t, ['start']);
    await service.printed('up');
    assert.deepEqual(await service.stop('SIGTERM'), { code: null, signal: 'SIGTERM' });
  });

  test('starts nothing when the build fails', async (t) => {
    const checkout = new Checkout(t);
    checkout.write('tools/tasks/build.ts', "console.error('a type error'); process.exit(1);");
    const { code, stdout, stderr } = await checkout.bootstrap(['start']);
    assert.deepEqual([code, stdout.toString()], [1, '']);
    assert.match(stderr, /a type error\n.*build failed/);
  });
});

describe('bootstrap test', () => {
  const PASSES = "import test from 'node:test'; test('passes', () => undefined);";
  const SKIPS = "import test from 'node:test'; test('needs more', { skip: 'needs a server' }, () => undefined);";
  const FAILS = "import test from 'node:test'; test('fails', () => { throw new Error('so it does'); });";

  test('runs all tests except for the benchmarks and those of a booted host, and ends with the counts', async (t) => {
    const checkout = new Checkout(t);
    for (const file of ['a.test.ts', 'deep/er/b.test.ts']) checkout.write(`test/${file}`, PASSES);
    for (const file of ['bench/a.test.ts', 'host/a.test.ts', 'support/c.ts']) checkout.write(`test/${file}`, FAILS);
    const { code, stdout } = await checkout.bootstrap(['test']);
    assert.equal(code, 0, stdout.toString());
    assert.match(stdout.toString(), /ℹ tests 2\n(?:ℹ .*\n)*ℹ pass 2\nℹ fail 0\n/);
  });

  test('runs the given files, and fails if one of them does', async (t) => {
    const checkout = new Checkout(t);
    checkout.write('test/a.test.ts', PASSES);
    checkout.write('test/b.test.ts', FAILS);
    assert.equal((await checkout.bootstrap(['test', 'test/a.test.ts'])).code, 0);
    const { code, stdout } = await checkout.bootstrap(['test', 'test/b.test.ts']);
    assert.equal(code, 1);
    assert.match(stdout.toString(), /ℹ tests 1\n/);
  });

  test('reports a skipped test as skipped, and under CI=true as a failure with the reason', async (t) => {
    const checkout = new Checkout(t);
    checkout.write('test/a.test.ts', PASSES);
    checkout.write('test/b.test.ts', SKIPS);
    const here = await checkout.bootstrap(['test']);
    assert.equal(here.code, 0);
    assert.match(here.stdout.toString(), /ℹ skipped 1\n/);
    const inCi = await checkout.bootstrap(['test'], { CI: 'true' });
    assert.equal(inCi.code, 1);
    assert.match(inCi.stdout.toString(), /skipped \(which counts as failed\):\n {2}needs more: needs a server\n/);
  });
});
