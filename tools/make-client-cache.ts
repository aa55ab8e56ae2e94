/**
 * Runs the bundled `cio credential get` once, against a socket that answers, and writes the code that V8 compiled in
 * that run: `node tools/make-client-cache.ts FOLDER` reads `program` in FOLDER and writes `cache` there.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { Script } from 'node:vm';

const [, , folder = ''] = process.argv;
const REPLY = { parameters: { name: 'cio_aws_backup_repo', value: 'x', version: 1, generation: 1 } };

const socket = join(folder, 'socket');
const server = createServer((peer) => {
  peer.on('data', () => peer.write(`${JSON.stringify(REPLY)}\0`));
  peer.on('error', () => peer.destroy());
});
server.listen(socket, () => {
  const script = new Script(readFileSync(join(folder, 'program'), 'utf8'), { filename: join(folder, 'cio.cjs') });
  process.on('exit', (code) => {
    if (code === 0) writeFileSync(join(folder, 'cache'), script.createCachedData());
  });
  const words = ['credential', 'get', REPLY.parameters.name, '--socket', socket];
  process.argv.splice(1, process.argv.length, 'cio', ...words);
  script.runInThisContext()(createRequire(import.meta.url), { exports: {} });
});
