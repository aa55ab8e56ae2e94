/**
 * Bundles the prober: `node tools/build-prober.ts [FOLDER]`, `dist/prober` unless given. It writes
 *
 * - `main.cjs`: the program, and the few lines that run it;
 * - a file for each SDK, of which a job needs one: what is used of it, instead of the hundreds of files that it comes in;
 * - `failure.cjs`: what these have in common;
 * - `*.<arch>.cache`: what V8 made of each in a run, so that no job compiles it again.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build as bundle, type Plugin } from 'esbuild';
import { cacheOf, loaderOf } from './cached-program.ts';

/** What is loaded by `import()`, and the name of the file that it becomes. */
const PARTS: ReadonlyMap<string, string> = new Map([
  ['daemon/prober/providers/s3.ts', 's3'],
  ['daemon/prober/providers/minio.ts', 'minio'],
  ['daemon/prober/providers/azure.ts', 'azure'],
]);

/** The class by which every part knows a failure of another: it may be there only once. */
const SHARED: ReadonlyMap<string, string> = new Map([['daemon/prober/failure.ts', 'failure']]);

/**
 * Modules of Node that libraries import, and few jobs use: loaded when something in them is asked for, they cost the other
 * jobs nothing. `http2` alone is a tenth of what it takes to start.
 */
const RARE_MODULES = /^(?:node:)?(?:child_process|fs\/promises|http2|https|os|tls|zlib)$/;

const root = fileURLToPath(new URL('..', import.meta.url));
const dist = resolve(process.argv[2] ?? join(root, 'dist', 'prober'));

/** The parts, and what is shared, stay outside. */
const separateParts: Plugin = {
  name: 'separate-parts',
  setup(build) {
    build.onResolve({ filter: /\.ts$/ }, ({ kind, path, resolveDir }) => {
      const file = relative(root, join(resolveDir, path));
      const part = kind === 'dynamic-import' ? PARTS.get(file) : undefined;
      const name = kind === 'entry-point' ? undefined : (part ?? SHARED.get(file));
      return name === undefined ? undefined : { path: `./${name}.cjs`, external: true };
    });
  },
};

/** In the place of a rare module: all its names, each of which loads it. */
const rareModules: Plugin = {
  name: 'rare-modules',
  setup(build) {
    const require = createRequire(import.meta.url);
    build.onResolve({ filter: RARE_MODULES }, ({ path, namespace }) =>
      namespace === 'rare' ? { path, external: true } : { path, namespace: 'rare' },
    );
    build.onLoad({ filter: /^/, namespace: 'rare' }, ({ path }) => {
      const names = JSON.stringify(Object.keys(require(path) as object));
      const get = `() => require(${JSON.stringify(path)})[name]`;
      return {
        contents: `for (const name of ${names}) Object.defineProperty(exports, name, { enumerable: true, get: ${get} });`,
      };
    });
  },
};

mkdirSync(dist, { recursive: true });
const programs = new Map([['main', await bundleOf('daemon/prober/main.ts')]]);
for (const [entryPoint, name] of [...SHARED, ...PARTS]) programs.set(name, await bundleOf(entryPoint));
for (const [name, program] of programs) writeFileSync(join(dist, `${name}.cjs`), loaderOf(name, program));
writeCaches();

/** A program, as an expression that is a function of `require` and `module`. */
async function bundleOf(entryPoint: string): Promise<string> {
  const { outputFiles } = await bundle({
    absWorkingDir: root,
    entryPoints: [entryPoint],
    bundle: true,
    minify: true,
    platform: 'node',
    target: 'node24',
    // As modules, libraries leave out what is not used of them; CommonJS comes whole.
    mainFields: ['module', 'main'],
    legalComments: 'none',
    logLevel: 'warning',
    write: false,
    format: 'cjs',
    // A script has no import() of its own: the loader's require takes its place.
    supported: { 'dynamic-import': false },
    banner: { js: '(function(require,module,exports){' },
    footer: { js: '})' },
    // Only of use to what looks for files beside itself.
    define: { 'import.meta.url': '"file:///"' },
    plugins: [separateParts, rareModules],
  });
  return outputFiles[0]?.text ?? '';
}

/** V8 keeps what was compiled in a run of a job: one for each SDK. */
function writeCaches(): void {
  const folder = mkdtempSync(join(tmpdir(), 'cio-build-'));
  try {
    for (const [name, program] of programs) writeFileSync(join(folder, name), program);
    for (const part of PARTS.values()) {
      const tool = join(root, 'tools/make-prober-cache.ts');
      const { status } = spawnSync(process.execPath, [tool, folder, part], { stdio: ['ignore', 'ignore', 'inherit'] });
      if (status !== 0) throw new Error(`the cache of the part ${part} of the prober cannot be made`);
    }
    for (const [name, program] of programs) {
      const made = readFileSync(join(folder, `${name}.cache`));
      writeFileSync(join(dist, `${name}.${process.arch}.cache`), cacheOf(program, made));
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
}
