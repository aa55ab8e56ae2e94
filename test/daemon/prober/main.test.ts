import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { describe, it } from 'node:test';

import type { Finding, ProbeJob } from '../../../src/validation.ts';
import { Canaries, assertUnseen } from '../../support/canary.ts';
import { plainEnvironment, runSuccessfully } from '../../support/process.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { refusal, startHttp, startTcp } from './stub-server.ts';
import { failureIn, jobOf } from './harness.ts';
import { AN_HOUR_AHEAD, messagesIn, ProberChild, PROBER_SOURCE, STUCK, WITHOUT_HOME } from './prober-child.ts';

const LIST = '<ListBucketResult></ListBucketResult>';
const LOCATION = '<LocationConstraint></LocationConstraint>';

const line = (job: ProbeJob): string => `${JSON.stringify(job)}\0`;

describe('the prober', () => {
  it('answers one job with its findings and an end message, and exits', async (t) => {
    const server = await startHttp(t, refusal('InvalidAccessKeyId'));
    for (const provider of ['s3', 'minio']) {
      const child = new ProberChild(t);
      child.send(line(jobOf({ backup_repo: `s3:http://${server.authority}/bucket-1` }, { provider })));
      assert.equal(await child.ended, 0);
      assert.deepEqual(child.messages.at(-1), { done: true });
      assert.equal(failureIn(child.findings)?.reason, 'unknown_access_key');
      assert.equal(child.stderr, '');
    }
  });

  it('accepts a job in pieces, over a socket that is both its input and its output', async (t) => {
    const directory = temporaryDirectory(t);
    const server = net.createServer().listen(path.join(directory, 'socket'));
    await once(server, 'listening');
    t.after(() => void server.close());
    const peer = net.connect(path.join(directory, 'socket'));
    const [socket] = (await once(server, 'connection')) as [net.Socket];
    // As systemd does with Accept=yes and StandardInput=socket.
    const [program = '', ...args] = PROBER_SOURCE;
    const child = spawn(program, args, { stdio: [socket, socket, 'pipe'], env: plainEnvironment() });
    t.after(() => void child.kill('SIGKILL'));
    socket.destroy();
    let text = '';
    peer.on('data', (chunk: Buffer) => (text += chunk.toString()));
    const job = line(jobOf());
    for (let at = 0; at < job.length; at += 50) peer.write(job.slice(at, at + 50));
    await once(peer, 'end');
    assert.deepEqual(messagesIn(text).at(-1), { done: true });
    assert.equal(failureIn(messagesIn(text).slice(0, -1) as Finding[])?.reason, 'connection_refused');
  });

  it('does not wait for a silent name server once its caller has left', async (t) => {
    const fifo = path.join(temporaryDirectory(t), 'fifo');
    await runSuccessfully(['mkfifo', fifo]);
    const child = new ProberChild(t, { STUCK_AT: fifo }, STUCK);
    child.send(line(jobOf({ backup_repo: 's3:http://stuck.test/bucket-1' })));
    child.process.stderr?.once('data', () => child.process.stdin?.end());
    await child.ended;
    assert.deepEqual(child.messages.at(-1), { done: true });
    assert.equal(child.process.signalCode, 'SIGTERM', child.stderr);
  });

  it('exits without repeating the input if it is not a job', async (t) => {
    const canaries = new Canaries();
    const secret = canaries.plant('secret');
    const half = new ProberChild(t);
    half.process.stdin?.end(`{"set":${JSON.stringify(secret)}`);
    const wrong = new ProberChild(t).send(`{"set":${JSON.stringify(secret)}}\0`);
    const none = new ProberChild(t).send(`${secret}\0`);
    for (const child of [half, wrong, none]) {
      assert.equal(await child.ended, 1);
      assert.equal(child.stdout, '');
      assert.match(child.stderr, /the bytes received are not a valid job/);
      assertUnseen(canaries.findIn('log', child.stderr));
    }
  });

  it('refuses an endless job', async (t) => {
    const child = new ProberChild(t);
    const chunk = 'x'.repeat(1 << 20);
    for (let count = 0; count < 17; count += 1) child.send(chunk);
    assert.equal(await child.ended, 1);
    assert.equal(child.stdout, '');
  });

  it('uses no keys, hosts or files of this machine', async (t) => {
    const canaries = new Canaries();
    const server = await startHttp(t, refusal('InvalidAccessKeyId'));
    const thief = await startHttp(t, refusal('AccessDenied'));
    const home = temporaryDirectory(t);
    fs.mkdirSync(path.join(home, '.aws'));
    const ambient = canaries.plantWord('ambient');
    const profile = `endpoint_url = http://${thief.authority}\nregion = ambient-1\nsdk_ua_app_id = ${ambient}\n`;
    fs.writeFileSync(path.join(home, '.aws', 'config'), `[default]\n${profile}`);
    fs.writeFileSync(path.join(home, '.aws', 'credentials'), `[default]\naws_access_key_id = ${ambient}\n`);
    const env = {
      HOME: home,
      AWS_ACCESS_KEY_ID: ambient,
      AWS_SECRET_ACCESS_KEY: ambient,
      AWS_SESSION_TOKEN: ambient,
      AWS_ENDPOINT_URL: `http://${thief.authority}`,
      AWS_REGION: 'ambient-2',
      AWS_SDK_UA_APP_ID: ambient,
      HTTP_PROXY: `http://${thief.authority}`,
      http_proxy: `http://${thief.authority}`,
      NODE_USE_ENV_PROXY: '1',
    };
    for (const provider of ['aws', 's3', 'minio']) {
      const child = new ProberChild(t, env).send(
        line(jobOf({ backup_repo: `s3:http://${server.authority}/bucket-1` }, { provider })),
      );
      assert.equal(await child.ended, 0);
      assert.equal(failureIn(child.findings)?.reason, 'unknown_access_key');
    }
    assert.deepEqual(thief.seen, []);
    assert.ok(server.seen.length >= 3);
    for (const request of server.seen) assert.match(request, /\/us-east-1\/s3\/aws4_request/);
    assertUnseen(canaries.findIn('requests', server.seen.join('\n')));
  });

  it('works under a uid without an entry in the user database', async (t) => {
    const server = await startHttp(t, refusal('InvalidAccessKeyId'));
    for (const provider of ['aws', 's3', 'minio']) {
      const child = new ProberChild(t, {}, WITHOUT_HOME).send(
        line(jobOf({ backup_repo: `s3:http://${server.authority}/bucket-1` }, { provider })),
      );
      assert.equal(await child.ended, 0);
      assert.equal(failureIn(child.findings)?.reason, 'unknown_access_key');
    }
  });

  it('reveals no secret of a job in any output, nor to other processes', async (t) => {
    const canaries = new Canaries();
    const job = jobOf({
      secret_key: canaries.plantWord('secret key'),
      session_token: canaries.plantWord('session token'),
      backup_password: canaries.plant('password'),
    });
    const silent = await startTcp(t, (socket) => socket.resume());
    const child = new ProberChild(t);
    child.send(line({ ...job, values: { ...job.values, backup_repo: `s3:http://${silent.authority}/bucket-1` } }));
    await once(child.process.stdout as NodeJS.ReadableStream, 'data');
    assertUnseen(canaries.findInProcess(child.process.pid ?? 0));
    child.process.stdin?.end();
    await child.ended;
    assertUnseen(canaries.findIn('standard output', child.stdout));
    assertUnseen(canaries.findIn('standard error', child.stderr));
  });

  it('exits soon after its input is closed, once it has deleted its probe object', async (t) => {
    const child = new ProberChild(t);
    const server = await startHttp(t, (request, response) => {
      const { method, url = '' } = request;
      if (url.includes('location')) response.end(LOCATION);
      else if (url.includes('list-type')) response.end(LIST);
      else if (method === 'PUT') response.writeHead(200, { etag: '"x"' }).end();
      else if (method === 'DELETE') response.writeHead(204).end();
      else if (!url.includes('.cio-')) refusal('NoSuchKey', 404)(request, response);
      // The read-back is never answered; the caller closes its side then.
      else child.process.stdin?.end();
    });
    child.send(line(jobOf({ backup_repo: `s3:http://${server.authority}/bucket-1` })));
    assert.equal(await child.ended, 0);
    assert.match(server.seen.at(-1) ?? '', /^DELETE \/bucket-1\/\.cio-credential-probe-/);
  });

  it('reports the wrong clock of this host as its programs see it', async (t) => {
    const server = await startHttp(t, (request, response) => {
      const [, stamp = ''] = /x-amz-date\n(\d{8}T\d{6})Z/i.exec(request.rawHeaders.join('\n')) ?? [];
      const at = Date.parse(stamp.replace(/(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)/, '$1-$2-$3T$4:$5:$6Z'));
      // The rule of servers (Amazon, MinIO, Ceph): at most 15 minutes.
      refusal(Math.abs(at - Date.now()) > 900_000 ? 'RequestTimeTooSkewed' : 'InvalidAccessKeyId')(request, response);
    });
    for (const provider of ['s3', 'minio']) {
      const child = new ProberChild(t, {}, AN_HOUR_AHEAD);
      child.send(line(jobOf({ backup_repo: `s3:http://${server.authority}/bucket-1` }, { provider })));
      assert.equal(await child.ended, 0);
      const failure = failureIn(child.findings);
      assert.equal(failure?.reason, 'clock_skewed', `${provider} ${child.stdout}${child.stderr}`);
      assert.ok(Math.abs(Number(failure?.subject) - 3600) <= 2, failure?.subject);
    }
  });
});
