import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { BootstrapError } from './error.mjs';
import { NODE_PACKAGE } from './pinned-node.mjs';
import { run } from './run.mjs';

/** The tools for build and test are dev dependencies, and the pinned Node is an optional one. */
const NPM_CI = [
  'ci',
  '--ignore-scripts',
  '--include=dev',
  '--include=optional',
  '--no-audit',
  '--no-fund',
  '--no-progress',
  '--loglevel=error',
];

const FREE_BYTES_MIN = 200 * 1024 * 1024;
const DISK_FULL = 'The disk is full: the dependencies need about 400 MB. Make room and run this again.';
const NOT_WRITABLE = 'The checkout is not writable: run this as its owner, or in a copy of your own.';

/** Patterns in the output of an npm that fails, and what the user can do. */
const NEXT_STEPS = [
  [/ENOSPC/, DISK_FULL],
  [
    /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH|ERR_SOCKET_TIMEOUT/,
    'The package registry cannot be reached. Check the network, or the proxy (npm config get proxy), and run this again.',
  ],
  [/EACCES|EPERM|EROFS/, notWritable],
  [/EUSAGE/, 'package.json and package-lock.json do not agree. Run npm install, and commit the lock file.'],
];

/** Tells whether node_modules has the packages of package-lock.json. */
export function isInstalled(root) {
  return missingPackage(root) === undefined;
}

/**
 * Returns the first package that is not installed as package-lock.json says. npm writes its record of installed
 * packages, `node_modules/.package-lock.json`, when an install is complete. Each package's folder is checked as well,
 * since folders can get lost later.
 */
function missingPackage(root) {
  const wanted = readJson(path.join(root, 'package-lock.json'))?.packages;
  const installed = readJson(path.join(root, 'node_modules', '.package-lock.json'))?.packages;
  if (wanted === undefined || installed === undefined) return 'node_modules/.package-lock.json';
  return Object.keys(wanted).find((location) => {
    const { version, integrity } = wanted[location];
    if (location === '') return false;
    if (!(location in installed)) return isNeededHere(wanted[location]);
    if (installed[location].version !== version || installed[location].integrity !== integrity) return true;
    return readJson(path.join(root, location, 'package.json'))?.version !== version;
  });
}

/** npm leaves out the optional packages for other machines, and packages that only those need. */
function isNeededHere({ optional, os, cpu, libc }) {
  if (optional !== true) return true;
  return os?.includes(process.platform) && cpu?.includes(process.arch) && libc?.includes('musl') !== true;
}

/** Installs with `npm ci`. The output of npm is shown only if it fails. */
export async function install(root, say, lockFd) {
  if (!isWritable(root)) throw new BootstrapError(`The dependencies are installed in ${root}. ${NOT_WRITABLE}`);
  say('Installing the pinned Node and the dependencies (about 30 s, once) …');
  const startedMs = performance.now();
  const [command, ...args] = npm();
  const options = { cwd: root, env: npmEnvironment(root), lockFd, stdin: 'ignore', output: 'collect' };
  const end = await run(command, [...args, ...NPM_CI], options).catch((error) => {
    if (error.code === 'ENOENT') throw new BootstrapError('npm was not found. Install it and run this again.');
    throw error;
  });
  if (end.signal !== null) throw new BootstrapError('The install was interrupted. Run this again to repeat it.');
  if (end.code !== 0) {
    const known = NEXT_STEPS.find(([pattern]) => pattern.test(end.output));
    const step = known?.[1] ?? 'Fix what npm reports above, and run this again.';
    const next = typeof step === 'function' ? step(root, end.output) : step;
    throw new BootstrapError(`${end.output.trimEnd()}\n\nnpm ci failed. ${next}`);
  }
  const missing = missingPackage(root);
  if (missing !== undefined) {
    // npm reports nothing if an optional package fails, and for npm the pinned Node is optional.
    const { bavail, bsize } = fs.statfsSync(root);
    const next = bavail * bsize < FREE_BYTES_MIN ? DISK_FULL : 'Remove node_modules and run this again.';
    throw new BootstrapError(`npm ci could not install ${missing}. ${next}`);
  }
  say(`Installed in ${((performance.now() - startedMs) / 1000).toFixed(0)} s.`);
}

/** Names the folder that npm could not write to: the checkout, or npm's cache in the home directory. */
function notWritable(root, output) {
  const [, where = root] = /^npm error path (.+)$/m.exec(output) ?? [];
  if (where === root || where.startsWith(`${root}/`)) return NOT_WRITABLE;
  return `npm cannot write to ${where}. Is HOME right? Set npm_config_cache to have npm use another folder.`;
}

/** The npm that called this script, or else the one in PATH. */
function npm() {
  const cli = process.env['npm_execpath'] ?? '';
  return path.basename(cli) === 'npm-cli.js' ? [process.execPath, cli] : ['npm'];
}

function npmEnvironment(root) {
  const { version } = readJson(path.join(root, 'package-lock.json'))?.packages[NODE_PACKAGE] ?? {};
  if (version === undefined) return process.env;
  const shim = JSON.stringify(fileURLToPath(new URL('as-pinned-node.cjs', import.meta.url)));
  return {
    ...process.env,
    CIO_PINNED_NODE_VERSION: `v${version}`,
    NODE_OPTIONS: `${process.env['NODE_OPTIONS'] ?? ''} --require=${shim}`,
  };
}

function isWritable(folder) {
  try {
    fs.accessSync(folder, fs.constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

function readJson(file) {
  try {
    return JSON.parse(fs.readFileSync(file, 'utf8'));
  } catch {
    return undefined;
  }
}
