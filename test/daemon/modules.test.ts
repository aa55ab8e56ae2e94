import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { run } from '../support/process.ts';

const ROOT = new URL('../../', import.meta.url).href;

/** Prints the URLs of the loaded modules. */
const LOAD = `
const { registerHooks } = await import('node:module');
const loaded = [];
registerHooks({ load(url, context, next) { loaded.push(url); return next(url, context); } });
await import(process.argv[1]);
process.stdout.write(JSON.stringify(loaded));
`;

async function modulesOf(entry: string): Promise<string[]> {
  const module = new URL(entry, ROOT).href;
  const { stdout, stderr } = await run([process.execPath, '--input-type=module', '-e', LOAD, module]);
  assert.equal(stderr, '');
  return JSON.parse(stdout.toString()) as string[];
}

/** Returns the names of the packages among them. */
function packagesOf(urls: readonly string[]): Set<string> {
  const names = urls.flatMap((url) => /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(url)?.[1] ?? []);
  return new Set(names);
}

describe('the process that holds the keys', () => {
  it('loads only three packages, and no module for a network', async () => {
    const modules = await modulesOf('daemon/app.ts');
    const allowed = /^(?:better-sqlite3|koffi|@koromix\/koffi-.*|libsodium-wrappers|libsodium)$/;
    for (const name of packagesOf(modules)) assert.match(name, allowed);
    assert.ok(packagesOf(modules).has('better-sqlite3'), 'it sees what is loaded');
    for (const name of ['http', 'https', 'http2', 'tls', 'dns', 'dgram', 'inspector', 'worker_threads']) {
      assert.ok(!modules.includes(`node:${name}`), name);
    }
  });

  it('loads nothing of the prober, and the client nothing of either', async () => {
    const daemon = await modulesOf('daemon/app.ts');
    assert.deepEqual(
      daemon.filter((url) => url.includes('/daemon/prober/')),
      [],
    );
    const client = await modulesOf('client/index.ts');
    assert.deepEqual(
      client.filter((url) => url.includes('/daemon/') || url.includes('/node_modules/')),
      [],
    );
  });
});
