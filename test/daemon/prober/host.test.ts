import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { describe, it } from 'node:test';

import { plainEnvironment } from '../../support/process.ts';
import { command, root, skipUnless } from '../../support/requirements.ts';
import type { Scope } from '../../support/scope.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { lookupOf } from './stub-server.ts';
import { failureIn, findingsOf, jobOf } from './harness.ts';
import { privateMounts } from '../access/personas.ts';
import { messagesIn, PROBER_SOURCE } from './prober-child.ts';
import type { Finding } from '../../../src/validation.ts';

/** A name server on port 53 that knows no name. */
const KNOWS_NOTHING = `import dgram from 'node:dgram';
const server = dgram.createSocket('udp4');
server.on('message', (query, peer) => {
  const answer = Buffer.from(query);
  answer.writeUInt16BE(0x8183, 2);
  server.send(answer, peer.port, peer.address);
});
await new Promise((resolve) => server.bind(53, '127.0.0.1', resolve));
server.unref();`;

/** Runs a job in a network namespace with only a loopback, with or without a name server. */
async function findingsOnLonelyHost(scope: Scope, repository: string, node: readonly string[]): Promise<Finding[]> {
  const file = path.join(temporaryDirectory(scope), 'resolv.conf');
  fs.writeFileSync(file, 'nameserver 127.0.0.1\noptions timeout:1 attempts:1\n');
  const script = 'ip link set lo up && mount --bind "$0" /etc/resolv.conf && exec "$@"';
  const [program = '', main = ''] = PROBER_SOURCE;
  const inside = ['--net', '--mount', 'sh', '-c', script, file, program, ...node, main];
  const child = spawn('unshare', inside, { env: plainEnvironment(), stdio: ['pipe', 'pipe', 'inherit'] });
  scope.after(() => void child.kill('SIGKILL'));
  let text = '';
  child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()));
  child.stdin.write(`${JSON.stringify(jobOf({ backup_repo: repository }))}\0`);
  await once(child, 'close');
  return messagesIn(text).slice(0, -1) as Finding[];
}

const UNSHARE = [root, command('unshare', 'util-linux'), command('ip', 'iproute2'), privateMounts];

describe('probe() on a host whose network is broken', () => {
  it('reports a missing name if a name server says so', { skip: skipUnless(...UNSHARE) }, async (t) => {
    const server = ['--import', `data:text/javascript,${encodeURIComponent(KNOWS_NOTHING)}`];
    const { ms: _ms, ...failure } = failureIn(await findingsOnLonelyHost(t, 's3:https://nobody.test/b', server)) ?? {};
    const expected = {
      check: 'resolve',
      state: 'failed',
      reason: 'name_not_found',
      field: 'backup_repo',
      subject: 'nobody.test',
    };
    assert.deepEqual(failure, expected);
  });

  it('reports a missing name server', { skip: skipUnless(...UNSHARE) }, async (t) => {
    const { ms: _ms, ...failure } = failureIn(await findingsOnLonelyHost(t, 's3:https://nobody.test/b', [])) ?? {};
    assert.deepEqual(failure, {
      check: 'resolve',
      state: 'failed',
      reason: 'name_server_failed',
      subject: 'nobody.test',
    });
  });

  it('reports a host without a route', { skip: skipUnless(...UNSHARE) }, async (t) => {
    const failure = failureIn(await findingsOnLonelyHost(t, 's3:https://192.0.2.1/b', []));
    assert.deepEqual([failure?.check, failure?.reason, failure?.subject], ['connect', 'unreachable', '192.0.2.1:443']);
  });

  it(
    'waits ten seconds for a host that does not answer, however many addresses it has',
    { timeout: 30_000 },
    async (t) => {
      const port = await startDeafServer(t);
      const lookup = lookupOf('127.0.0.1', '127.0.0.1', '127.0.0.1', '127.0.0.1', '127.0.0.1');
      const startedMs = performance.now();
      const findings = await findingsOf(jobOf({ backup_repo: `s3:http://deaf.test:${port}/b` }), { lookup });
      const subject = `deaf.test:${port}`;
      const expected = { check: 'connect', state: 'failed', reason: 'timed_out', field: 'backup_repo', subject };
      assert.deepEqual(failureIn(findings), expected);
      assert.ok(performance.now() - startedMs < 13_000);
    },
  );
});

/** Starts a stopped process with a full accept queue: the kernel drops further connections. */
async function startDeafServer(scope: Scope): Promise<number> {
  const program = `require('node:net').createServer().listen({ port: 0, host: '127.0.0.1', backlog: 1 }, function () {
    process.stdout.write(String(this.address().port));
  });`;
  const child = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'inherit'] });
  scope.after(() => void child.kill('SIGKILL'));
  const [chunk] = (await once(child.stdout, 'data')) as [Buffer];
  const port = Number(chunk.toString());
  child.kill('SIGSTOP');
  for (let count = 0; count < 4; count += 1) {
    const socket = net.connect(port, '127.0.0.1').on('error', () => undefined);
    scope.after(() => void socket.destroy());
    // The first connections fit into the queue, the last ones do not.
    await Promise.race([once(socket, 'connect'), new Promise((resolve) => setTimeout(resolve, 300))]);
  }
  return port;
}
