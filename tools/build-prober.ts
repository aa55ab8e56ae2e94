/**
 * Bundles the prober: `node tools/build-prober.ts [FOLDER]`, by default into `dist/prober`. It writes
 *
 * - `main.cjs`: the program, with a few lines that run it;
 * - a file for each SDK, of which a job needs one: the code that is used, instead of the hundreds of files of the SDK;
 * - `failure.cjs`: the class that all of these share;
 * - `*.<arch>.cache`: V8's code cache of each from a run, so that no job compiles the code again.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build as bundle, type Plugin } from 'esbuild';
import { cacheOf, loaderOf } from './cached-program.ts';

/** Modules that are loaded by `import()`, and the name of the file that each is bundled into. */
const PARTS: ReadonlyMap<string, string> = new Map([
  ['daemon/prober/providers/s3.ts', 's3'],
  ['daemon/prober/providers/minio.ts', 'minio'],
  ['daemon/prober/providers/azure.ts', 'azure'],
]);

/**
 * The class by which each part recognizes a failure thrown by another (`instanceof`), so there must be only one copy.
 */
const SHARED: ReadonlyMap<string, string> = new Map([['daemon/prober/failure.ts', 'failure']]);

/**
 * Modules of Node that libraries import, but few jobs use. They are loaded only when one of their names is used, so
 * that other jobs pay nothing for them: `http2` alone takes a tenth of the time of a start.
 */
const RARE_MODULES = /^(?:node:)?(?:child_process|fs\/promises|http2|https|os|tls|zlib)$/;

const root = fileURLToPath(new URL('..', import.meta.url));
const dist = resolve(process.argv[2] ?? join(root, 'dist', 'prober'));

/** Keeps the parts and the shared module out of the bundle. */
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

/** Replaces a rare module by getters for all its names, each of which loads the module. */
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

/** Bundles a program as an expression: a function of `require`, `module` and `exports`. */
async function bundleOf(entryPoint: string): Promise<string> {
  const { outputFiles } = await bundle({
    absWorkingDir: root,
    entryPoints: [entryPoint],
    bundle: true,
    minify: true,
    platform: 'node',
    target: 'node24',
    // Unused code of a library is left out only if the library consists of ES modules, and not if it is CommonJS.
    mainFields: ['module', 'main'],
    legalComments: 'none',
    logLevel: 'warning',
    write: false,
    format: 'cjs',
    // A script has no import() of its own, so it uses the loader's require instead.
    supported: { 'dynamic-import': false },
    banner: { js: '(function(require,module,exports){' },
    footer: { js: '})' },
    // Used only by code that looks for files beside its own, of which there is none here.
    define: { 'import.meta.url': '"file:///"' },
    plugins: [separateParts, rareModules],
  });
  return outputFiles[0]?.text ?? '';
}

/** Writes V8's code caches, each with the code that was compiled in a run of a job, one run for each SDK. */
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
