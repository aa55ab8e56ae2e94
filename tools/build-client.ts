/**
 * Bundles `cio` for a fast start: `node tools/build-client.ts [FOLDER]`, by default into `dist`. It writes
 *
 * - `cio.cjs`: the program in one file, as a string, with a few lines that run it;
 * - `cio.<arch>.cache`: V8's code cache from a run of `cio credential get`, so that later runs need not compile that
 *   code; without the cache, `cio` is a third slower;
 * - `cio-help.mjs`: yargs, and everything else that only the help needs;
 * - `cio-doctor.mjs`: the checks of `cio credential doctor`;
 * - `cio-validate.mjs`: `cio credential validate`; `cio-validation.mjs`: its report, which `create` uses too;
 * - `cio-age.mjs`, `cio-backup.mjs`, … : code that single commands need, each named after its purpose.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build as bundle, type BuildOptions, type Plugin } from 'esbuild';
import { parseInterface } from '../src/protocol/idl.ts';
import { INTERFACE_DESCRIPTION } from '../src/protocol/interface.generated.ts';
import { cacheOf, loaderOf } from './cached-program.ts';

/** Modules that most commands never load: by entry point, the separate file that it is bundled into. */
const SEPARATE_FILES: ReadonlyMap<string, string> = new Map([
  ['client/cio/help.ts', 'cio-help.mjs'],
  ['client/cio/doctor/diagnose.ts', 'cio-doctor.mjs'],
  ['client/cio/validate/validate-sets.ts', 'cio-validate.mjs'],
  ['client/cio/validation-report.ts', 'cio-validation.mjs'],
  ['client/cio/age/age.ts', 'cio-age.mjs'],
  ['client/cio/age/open-age-file.ts', 'cio-open-age.mjs'],
  ['client/cio/export/export-credentials.ts', 'cio-export.mjs'],
  ['client/cio/backup/receive-copy.ts', 'cio-backup.mjs'],
  ['client/cio/backup/send-copy.ts', 'cio-restore.mjs'],
  ['client/cio/new-file.ts', 'cio-new-file.mjs'],
  ['client/cio/recovery/recovery-page.ts', 'cio-recovery.mjs'],
  ['client/cio/edit/edit.ts', 'cio-edit.mjs'],
  ['client/cio/import/import-files.ts', 'cio-import.mjs'],
  ['client/cio/create/create-set.ts', 'cio-create.mjs'],
  ['client/cio/create/from-file.ts', 'cio-set-file.mjs'],
  ['client/cio/list/portworx-tables.ts', 'cio-portworx.mjs'],
  ['client/cio/list/wide-tables.ts', 'cio-wide.mjs'],
  ['client/cio/list/yaml.ts', 'cio-yaml.mjs'],
  ['client/cio/out/print-form.ts', 'cio-forms.mjs'],
  ['client/cio/out/object-yaml.ts', 'cio-object-yaml.mjs'],
  ['client/cio/exec/credential-server.ts', 'cio-server.mjs'],
  ['client/cio/exec/run-child.ts', 'cio-child.mjs'],
  ['client/cio/exec/run-masked.ts', 'cio-masking.mjs'],
  ['client/cio/exec/memory-file.ts', 'cio-memory-file.mjs'],
  ['client/cio/watch/print-changes.ts', 'cio-watch.mjs'],
  ['client/cio/watch/reload-units.ts', 'cio-reload.mjs'],
  ['client/cio/on-change/run-on-change.ts', 'cio-on-change.mjs'],
  ['client/cio/overview/show-overview.ts', 'cio-overview.mjs'],
  ['client/cio/helpers/docker.ts', 'cio-docker.mjs'],
  ['client/cio/helpers/git.ts', 'cio-git.mjs'],
]);

const root = fileURLToPath(new URL('..', import.meta.url));
const dist = resolve(process.argv[2] ?? join(root, 'dist'));
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { readonly version: string };

const common: BuildOptions = {
  absWorkingDir: root,
  bundle: true,
  minify: true,
  platform: 'node',
  target: 'node24',
  legalComments: 'none',
  logLevel: 'warning',
};

/**
 * Keeps modules that are loaded by `import()` out of the bundle: loading yargs alone takes longer than all the rest.
 */
const separateFiles: Plugin = {
  name: 'separate-files',
  setup(build) {
    build.onResolve({ filter: /\.ts$/ }, ({ kind, path, resolveDir }) => {
      const file = kind === 'dynamic-import' ? SEPARATE_FILES.get(relative(root, join(resolveDir, path))) : undefined;
      return file === undefined ? undefined : { path: `./${file}`, external: true };
    });
  },
};

/**
 * Replaces `string-width`, by which yargs measures text with regular expressions for all emoji: compiling these takes
 * half of its start, and the help has no emoji.
 */
const plainWidth: Plugin = {
  name: 'plain-width',
  setup(build) {
    build.onResolve({ filter: /^string-width$/ }, () => ({ path: 'string-width', namespace: 'plain-width' }));
    build.onLoad({ filter: /.*/, namespace: 'plain-width' }, () => ({
      contents: `export { widthOf as default } from './client/cio/text.ts';`,
      resolveDir: root,
    }));
  },
};

/** Parses the interface at build time instead of in every process. */
const parsedInterface: Plugin = {
  name: 'parsed-interface',
  setup(build) {
    build.onLoad({ filter: /\/client\/interface\.ts$/ }, () => ({
      loader: 'ts',
      contents: `export function interfaceDefinition() { return ${sourceOf(parseInterface(INTERFACE_DESCRIPTION))}; }`,
    }));
  },
};

mkdirSync(dist, { recursive: true });
for (const [entryPoint, file] of SEPARATE_FILES) {
  await bundle({
    ...common,
    entryPoints: [entryPoint],
    outfile: join(dist, file),
    format: 'esm',
    // The package's file for Node is CommonJS, which requires Node's modules at run time. This is the same code as ESM.
    alias: { yaml: join(root, 'node_modules/yaml/browser/index.js') },
    // A native addon, which stays where it is installed.
    external: ['koffi'],
    define: { CIO_VERSION: JSON.stringify(version) },
    plugins: [plainWidth, separateFiles],
  });
}
const program = await bundleProgram();
writeFileSync(join(dist, `cio.${process.arch}.cache`), cacheOf(program, makeCache(program)));
writeFileSync(join(dist, 'cio.cjs'), loaderOf('cio', program));

/** Bundles the program as an expression: a function of `require` and `module`. */
async function bundleProgram(): Promise<string> {
  const { outputFiles } = await bundle({
    ...common,
    entryPoints: ['client/cio/main.ts'],
    write: false,
    format: 'cjs',
    // A script has no import() of its own, so it uses the loader's require instead.
    supported: { 'dynamic-import': false },
    banner: { js: '(function(require,module){' },
    footer: { js: '})' },
    define: { CIO_VERSION: JSON.stringify(version), 'import.meta.url': '""' },
    plugins: [separateFiles, parsedInterface],
  });
  return outputFiles[0]?.text ?? '';
}

/** Makes the code cache of a program, in a separate process. */
function makeCache(program: string): Uint8Array {
  const folder = mkdtempSync(join(tmpdir(), 'cio-build-'));
  try {
    writeFileSync(join(folder, 'program'), program);
    const tool = join(root, 'tools/make-client-cache.ts');
    const { status } = spawnSync(process.execPath, [tool, folder], { stdio: ['ignore', 'ignore', 'inherit'] });
    if (status !== 0) throw new Error('the cache of cio cannot be made');
    return readFileSync(join(folder, 'cache'));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Renders a value as a JavaScript expression, without the comments of the interface (`doc`). */
function sourceOf(value: unknown): string {
  if (value instanceof Map) return `new Map(${sourceOf([...(value as Map<unknown, unknown>)])})`;
  if (Array.isArray(value)) return `[${value.map(sourceOf).join()}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const fields = Object.entries(value).filter(([field]) => field !== 'doc');
  return `{${fields.map(([field, part]) => `${JSON.stringify(field)}:${sourceOf(part)}`).join()}}`;
}
