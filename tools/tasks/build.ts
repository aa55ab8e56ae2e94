/**
 * Builds dist if it is stale: the compiled daemon, the library with its types, the bundles of `cio` and of the prober,
 * and the manual.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { replaceFolder } from './replace-folder.ts';

const ROOT = path.join(import.meta.dirname, '..', '..');
const STAMP = path.join(ROOT, 'dist', '.built-from');
/** The folders that are compiled for the package. The others import the first one. */
const PROJECTS = ['src', 'daemon', 'client'] as const;

const INPUTS = [
  'src',
  'daemon',
  'client',
  'tools',
  'docs/man',
  'tsconfig.base.json',
  'package.json',
  'package-lock.json',
];
const OUTPUTS = [
  'dist/daemon/main.js',
  'dist/client/index.js',
  'dist/client/index.d.ts',
  'dist/cio.cjs',
  'dist/prober/main.cjs',
  'dist/man/man1/cio-credential.1',
];

const fingerprint = fingerprintOf(INPUTS);
if (OUTPUTS.every((file) => fs.existsSync(path.join(ROOT, file))) && readStamp() === fingerprint) process.exit(0);

process.stderr.write('Building dist …\n');
// Starts with an empty folder: files that are left from earlier sources would be packed too.
replaceFolder(path.join(ROOT, 'dist'), path.join(ROOT, 'build'), (dist) => {
  compile(dist);
  run('tools/build-client.ts', dist);
  run('tools/build-prober.ts', path.join(dist, 'prober'));
  run('tools/generate-man.ts', path.join(dist, 'man'));
  fs.writeFileSync(path.join(dist, path.basename(STAMP)), fingerprint);
});

/** Compiles the projects into another folder. `tsc -b` takes an output folder only from configuration files. */
function compile(dist: string): void {
  const folder = path.join(path.dirname(dist), 'tsc');
  for (const project of PROJECTS) {
    const from = path.join(ROOT, project);
    const configuration = {
      extends: path.join(from, 'tsconfig.json'),
      compilerOptions: {
        rootDir: from,
        outDir: path.join(dist, project),
        tsBuildInfoFile: path.join(folder, project, 'tsconfig.tsbuildinfo'),
      },
      include: [path.join(from, '**/*.ts')],
      references: project === 'src' ? [] : [{ path: '../src' }],
    };
    fs.mkdirSync(path.join(folder, project), { recursive: true });
    fs.writeFileSync(path.join(folder, project, 'tsconfig.json'), JSON.stringify(configuration));
  }
  run('node_modules/typescript/bin/tsc', '-b', ...PROJECTS.map((project) => path.join(folder, project)));
}

function run(script: string, ...args: string[]): void {
  const { status } = spawnSync(process.execPath, [path.join(ROOT, script), ...args], { cwd: ROOT, stdio: 'inherit' });
  if (status !== 0) process.exit(1);
}

function readStamp(): string | undefined {
  return fs.existsSync(STAMP) ? fs.readFileSync(STAMP, 'utf8') : undefined;
}

/** Returns a hash that changes if a file is changed, added or removed. */
function fingerprintOf(inputs: readonly string[]): string {
  const files = inputs.flatMap((input) => {
    const whole = path.join(ROOT, input);
    if (!fs.statSync(whole).isDirectory()) return [whole];
    return fs
      .readdirSync(whole, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && !entry.name.endsWith('.tsbuildinfo'))
      .map((entry) => path.join(entry.parentPath, entry.name));
  });
  const hash = createHash('sha256');
  for (const file of files.toSorted()) {
    hash.update(`${path.relative(ROOT, file)}\0`).update(createHash('sha256').update(fs.readFileSync(file)).digest());
  }
  return hash.digest('hex');
}
