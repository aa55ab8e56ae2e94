import assert from 'node:assert/strict';
import path from 'node:path';
import { describe, it } from 'node:test';
import { runSuccessfully } from '../../support/process.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

/**
 * A process in which somebody connects, and then whoever wants a descriptor gets none: whatever is given back is taken at
 * once, until several tries later. Prints when the connection was accepted.
 */
const CROWDED = `
const { closeSync, openSync } = await import('node:fs');
const { connect, createServer } = await import('node:net');
const { setTimeout: pause } = await import('node:timers/promises');
const [, acceptorModule, libcModule, file] = process.argv;
const { Acceptor } = await import(acceptorModule);
const { duplicate } = await import(libcModule);
const server = createServer();
await new Promise((resolve) => server.listen(file, resolve));
const fd = duplicate(server._handle.fd);
let isCrowded = true;
const accepted = new Promise((resolve) => {
  new Acceptor(fd, () => undefined, (connection) => {
    closeSync(connection);
    resolve(isCrowded ? 'early' : 'accepted');
  });
});
connect(file).on('error', () => undefined);
// Before the event loop turns, in which it would accept.
server.close();
const held = [];
const codes = new Set();
const crowd = () => {
  try {
    for (;;) held.push(openSync('/dev/null'));
  } catch ({ code }) {
    codes.add(code);
  }
};
crowd();
const crowding = setInterval(crowd, 1);
await pause(500);
clearInterval(crowding);
isCrowded = false;
held.forEach((one) => closeSync(one));
process.stdout.write([...codes, await accepted].join(' '));
process.exit();
`;

describe('Acceptor', () => {
  it('goes on watching when there are descriptors again, whoever took the last ones meanwhile', async (t) => {
    const modules = ['load/acceptor.ts', 'kernel/libc.ts'].map(
      (file) => new URL(`../../../daemon/${file}`, import.meta.url).href,
    );
    const node = [process.execPath, '--input-type=module', '-e', CROWDED, ...modules];
    const socket = path.join(temporaryDirectory(t), 'load');
    const limited = ['sh', '-c', 'ulimit -n 64 && exec "$@"', 'sh', ...node, socket];
    assert.equal(await runSuccessfully(limited), 'EMFILE accepted');
  });
});
