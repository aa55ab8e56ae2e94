import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { startDaemon } from '../support/daemon.ts';
import { plainEnvironment, run, runSuccessfully } from '../support/process.ts';
import { command, findCommand, skipUnless } from '../support/requirements.ts';
import type { Requirement } from '../support/requirements.ts';
import type { Scope } from '../support/scope.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const REPOSITORY = path.join(import.meta.dirname, '..', '..');
const CLIENTS = path.join(import.meta.dirname, 'clients');

const PYTHON_PACKAGE = 'varlink==31.0.0';
/** Go sources as Debian packages them, so that the build needs no network. */
const GO_SOURCES = '/usr/share/gocode';

/** Leaves time for a slow registry, and for compiling Go's standard library. */
const INSTALL_TIMEOUT_MS = 240_000;

/** What each client program prints. */
interface Seen {
  readonly info: { readonly vendor: string; readonly version: string; readonly interfaces: readonly string[] };
  readonly description: string;
  readonly unknownInterface: unknown;
  readonly created: unknown;
  readonly got: unknown;
  readonly gotBinary: unknown;
  readonly listed: readonly {
    readonly credentials: readonly { readonly name: string }[];
    readonly sets: readonly object[];
  }[];
  readonly notFound: unknown;
  readonly exists: unknown;
  readonly afterErrors: unknown;
}

test("Python's varlink package reads the interface, calls methods, receives streams and gets errors", async (t) => {
  const skip = skipUnless(command('python3'));
  if (skip !== false) return t.skip(skip);
  const packages = await installPythonPackage();
  if ('reason' in packages) return t.skip(packages.reason);
  const daemon = await startDaemon(t);
  const printed = await runSuccessfully(['/usr/bin/python3', path.join(CLIENTS, 'client.py'), daemon.socketPath], {
    env: { ...plainEnvironment(), PYTHONPATH: packages.directory, PYTHONDONTWRITEBYTECODE: '1' },
  });
  expectTheSameFromAll(JSON.parse(printed) as Seen);
  await daemon.stop();
});

const hasGoLibrary: Requirement = () =>
  fs.existsSync(path.join(GO_SOURCES, 'src/github.com/varlink/go'))
    ? undefined
    : "Go's varlink library (Debian: golang-github-varlink-go-dev)";

test(
  "Go's varlink library calls methods, receives streams and gets errors",
  { skip: skipUnless(command('go', 'golang-go'), hasGoLibrary) },
  async (t) => {
    const [daemon, client] = await Promise.all([startDaemon(t), buildGoClient(t)]);
    expectTheSameFromAll(JSON.parse(await runSuccessfully([client, daemon.socketPath])) as Seen);
    await daemon.stop();
  },
);

function expectTheSameFromAll(seen: Seen): void {
  const { version } = JSON.parse(fs.readFileSync(path.join(REPOSITORY, 'package.json'), 'utf8')) as { version: string };
  assert.equal(seen.info.version, version);
  assert.deepEqual(new Set(seen.info.interfaces), new Set(['org.varlink.service', 'io.cio.Credentials']));
  const interfaceFile = path.join(REPOSITORY, 'src/protocol/io.cio.Credentials.varlink');
  assert.equal(seen.description, fs.readFileSync(interfaceFile, 'utf8'));
  assert.deepEqual(seen.unknownInterface, {
    name: 'org.varlink.service.InterfaceNotFound',
    parameters: { interface: 'no.such.interface' },
  });
  assert.deepEqual(seen.created, {
    generation: 1,
    saved: [
      { name: 'cio_aws_access_key', version: 1, created: true },
      { name: 'binary', version: 1, created: true },
    ],
  });
  const accessKey = { name: 'cio_aws_access_key', value: 'AKIA', version: 1, generation: 1 };
  assert.deepEqual(withoutNulls(seen.got), accessKey);
  assert.deepEqual(withoutNulls(seen.gotBinary), { name: 'binary', data: '/wD/', version: 1, generation: 1 });
  const names = seen.listed.flatMap(({ credentials }) => credentials.map(({ name }) => name));
  assert.deepEqual(names.toSorted(), ['binary', 'cio_aws_access_key']);
  assert.equal(seen.listed.flatMap(({ sets }) => sets).length, 1);
  assert.deepEqual(seen.notFound, { name: 'io.cio.Credentials.NotFound', parameters: { name: 'no-such-name' } });
  assert.deepEqual(seen.exists, { name: 'io.cio.Credentials.AlreadyExists', parameters: { name: 'binary' } });
  assert.deepEqual(withoutNulls(seen.afterErrors), accessKey);
}

/** Varlink treats a field that is null as absent. */
function withoutNulls(value: unknown): unknown {
  return Object.fromEntries(Object.entries(value as object).filter(([, field]) => field !== null));
}

/** Installs the package once per machine, outside the checkout. */
async function installPythonPackage(): Promise<{ readonly directory: string } | { readonly reason: string }> {
  const cache = path.join(process.env['XDG_CACHE_HOME'] ?? path.join(os.homedir(), '.cache'), 'cio-credentiald-tests');
  const directory = path.join(cache, PYTHON_PACKAGE);
  if (fs.existsSync(directory)) return { directory };
  fs.mkdirSync(cache, { recursive: true });
  const unfinished = fs.mkdtempSync(path.join(cache, 'unfinished-'));
  const pip = [
    '/usr/bin/python3',
    '-m',
    'pip',
    'install',
    '--quiet',
    '--no-deps',
    '--target',
    unfinished,
    PYTHON_PACKAGE,
  ];
  // Run with the environment of the tests, which may configure the package index.
  const { code, stderr } = await run(pip, { env: process.env, timeoutMs: INSTALL_TIMEOUT_MS });
  if (code !== 0) {
    fs.rmSync(unfinished, { recursive: true });
    const hasPip = !stderr.includes('No module named pip');
    return { reason: hasPip ? `pip cannot install ${PYTHON_PACKAGE}` : 'needs pip (Debian: python3-pip)' };
  }
  fs.renameSync(unfinished, directory);
  return { directory };
}

async function buildGoClient(scope: Scope): Promise<string> {
  const directory = temporaryDirectory(scope);
  const client = path.join(directory, 'client');
  await runSuccessfully([findCommand('go') ?? 'go', 'build', '-o', client, path.join(CLIENTS, 'client.go')], {
    env: {
      ...plainEnvironment(),
      GO111MODULE: 'off',
      GOPATH: GO_SOURCES,
      GOCACHE: path.join(directory, 'cache'),
      HOME: directory,
    },
    timeoutMs: INSTALL_TIMEOUT_MS,
  });
  return client;
}
