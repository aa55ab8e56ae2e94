/**
 * Runs one job of the bundled prober, against a simulated bucket, and writes the code that V8 compiled in that run:
 * `node tools/make-prober-cache.ts FOLDER PART` reads the programs in FOLDER, and writes a cache for each that was
 * loaded. A part whose servers use TLS only is loaded, but not run.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { Script } from 'node:vm';

/** The parts that can use plain HTTP. */
const S3_PARTS: ReadonlySet<string> = new Set(['s3', 'minio']);

const [, , folder = '', part = ''] = process.argv;
const require = createRequire(import.meta.url);
const scripts = new Map<string, Script>();
const modules = new Map<string, { readonly exports: unknown }>();
const objects = new Map<string, Buffer>();

/** A bucket that has exactly the objects that were written. */
const bucket: RequestListener = (request, response) => {
  const { method, url = '' } = request;
  const name = url.split('?', 1)[0] ?? '';
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    const object = objects.get(name);
    if (url.includes('location')) response.end('<LocationConstraint></LocationConstraint>');
    else if (url.includes('list-type')) response.end('<ListBucketResult><Name>bucket-1</Name></ListBucketResult>');
    else if (method === 'PUT') {
      objects.set(name, Buffer.concat(chunks));
      response.setHeader('etag', '"0"').end();
    } else if (method === 'DELETE') response.writeHead(204).end();
    else if (object !== undefined) response.end(object);
    else response.writeHead(404).end('<Error><Code>NoSuchKey</Code></Error>');
  });
};

function load(name: string): unknown {
  const known = modules.get(name);
  if (known !== undefined) return known.exports;
  const script = new Script(readFileSync(join(folder, name), 'utf8'), { filename: join(folder, `${name}.cjs`) });
  scripts.set(name, script);
  const module = { exports: {} };
  modules.set(name, module);
  const ownRequire = (id: string): unknown => (/^\.\/\w+\.cjs$/.test(id) ? load(id.slice(2, -4)) : require(id));
  script.runInThisContext()(ownRequire, module, module.exports);
  return module.exports;
}

function writeCaches(): void {
  for (const [name, script] of scripts) writeFileSync(join(folder, `${name}.cache`), script.createCachedData());
}

if (S3_PARTS.has(part)) {
  const server = createServer(bucket).listen(0, '127.0.0.1', () => runJob((server.address() as AddressInfo).port));
} else {
  load(part);
  writeCaches();
}

function runJob(port: number): void {
  const values = {
    backup_repo: `s3:http://127.0.0.1:${port}/bucket-1/prefix`,
    access_key: 'access',
    secret_key: 'secret',
    backup_password: 'password',
  };
  const input = new PassThrough();
  Object.defineProperty(process, 'stdin', { value: input });
  let output = '';
  Object.defineProperty(process, 'stdout', {
    value: new PassThrough().on('data', (chunk) => (output += String(chunk))),
  });
  process.once('exit', (code) => {
    if (code !== 0 || !output.includes('"no_repository"')) {
      process.stderr.write(`the job failed: ${output}\n`);
      process.exitCode = 1;
      return;
    }
    writeCaches();
  });
  load('main');
  input.write(`${JSON.stringify({ set: 's3', provider: part, restoreOnly: false, values })}\0`);
}
