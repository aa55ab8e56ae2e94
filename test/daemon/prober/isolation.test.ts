import assert from 'node:assert/strict';
import path from 'node:path';
import { describe, it } from 'node:test';

import { build, type Metafile } from 'esbuild';

const ROOT = path.join(import.meta.dirname, '..', '..', '..');

/** Bundles a program without its packages. Returns what each of its files imports, dynamically too. */
async function bundledFiles(entryPoint: string): Promise<Metafile['inputs']> {
  const { metafile } = await build({
    absWorkingDir: ROOT,
    entryPoints: [entryPoint],
    bundle: true,
    write: false,
    metafile: true,
    platform: 'node',
    format: 'esm',
    packages: 'external',
    logLevel: 'silent',
  });
  return metafile.inputs;
}

/** Returns everything that a program imports: files of this repository, and packages. */
async function importsOf(entryPoint: string): Promise<{ readonly files: string[]; readonly packages: string[] }> {
  const files = await bundledFiles(entryPoint);
  const imported = Object.values(files).flatMap(({ imports }) => imports);
  const packages = imported.filter(({ external, path }) => external === true && !path.startsWith('node:'));
  return { files: Object.keys(files), packages: [...new Set(packages.map(({ path }) => path))].toSorted() };
}

describe('the process that holds the keys', () => {
  it('imports nothing of the prober, and no library that talks to a provider', async () => {
    const { files, packages } = await importsOf('daemon/main.ts');
    assert.ok(files.includes('daemon/app.ts'));
    assert.deepEqual(
      files.filter((file) => file.startsWith('daemon/prober/')),
      [],
    );
    assert.deepEqual(packages, ['better-sqlite3', 'koffi', 'libsodium-wrappers']);
  });
});

describe('the prober', () => {
  it('imports nothing of the daemon but its log, and no library but the SDKs', async () => {
    const { files, packages } = await importsOf('daemon/prober/main.ts');
    const others = files.filter((file) => !file.startsWith('src/') && !file.startsWith('daemon/prober/'));
    assert.deepEqual(others, ['daemon/log.ts']);
    assert.deepEqual(packages, ['@aws-sdk/client-s3', '@azure/storage-blob', 'minio']);
  });

  it('cannot start processes, and writes no files', async () => {
    const files = await bundledFiles('daemon/prober/main.ts');
    const builtin = Object.values(files).flatMap(({ imports }) => imports.map(({ path }) => path));
    for (const name of ['node:child_process', 'node:cluster', 'node:worker_threads', 'node:fs/promises']) {
      assert.equal(builtin.includes(name), false, name);
    }
  });
});
