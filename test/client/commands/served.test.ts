import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import fs from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import path from 'node:path';
import { after, describe, it } from 'node:test';
import sodium from 'libsodium-wrappers';
import { EXIT } from '../../../src/errors.ts';
import { run } from '../../support/process.ts';
import type { Scope } from '../../support/scope.ts';
import { asIdentity } from '../../support/identity.ts';
import { command, root, skipUnless } from '../../support/requirements.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { quoted } from '../terminal.ts';
import { Harness } from './harness.ts';

const harness = await Harness.start({ after });

/** As many connections as the server accepts. */
const CONNECTIONS_MAX = 32;
const STRANGER = { uid: 54_321, gid: 54_321 };

interface Served {
  readonly url: URL;
  readonly token: string;
  /** Ends the command, and returns the exit code of `cio`. */
  end(): Promise<number | null>;
}

/** Runs a command under `exec --server` that prints its URL and token, and ends when its input ends. */
async function serve(scope: Scope, set: string): Promise<Served> {
  const script = 'echo "$AWS_CONTAINER_CREDENTIALS_FULL_URI $AWS_CONTAINER_AUTHORIZATION_TOKEN"; cat; exit 3';
  const [file, ...args] = [...harness.built, 'credential', 'exec', set, '--server', '--', 'sh', '-c', script];
  const child = spawn(file, args, { env: harness.environment, stdio: ['pipe', 'pipe', 'inherit'] });
  scope.after(() => void child.kill('SIGKILL'));
  const line = await new Promise<string>((resolve, reject) => {
    child.stdout.once('data', (text: Buffer) => resolve(text.toString()));
    child.once('close', () => reject(new Error('it ended before it said anything')));
  });
  const [url = '', token = ''] = line.trim().split(' ');
  return {
    url: new URL(url),
    token,
    end() {
      child.stdin.end();
      return new Promise((resolve) => child.once('close', resolve));
    },
  };
}

interface Reply {
  readonly status: number | undefined;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: string;
}

function ask(url: URL, options: http.RequestOptions): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const request = http.request(url, { agent: false, ...options }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (text: string) => (body += text));
      response.on('end', () => resolve({ status: response.statusCode, headers: response.headers, body }));
    });
    request.once('error', reject).end();
  });
}

describe('cio credential exec --server', () => {
  it('gives the keys to a client with the token, with an expiry that makes SDKs ask again', async (t) => {
    const set = await harness.storeSet({ session_token: 'ST' });
    const { url, token } = await serve(t, set);
    const { status, headers, body } = await ask(url, { headers: { Authorization: token } });
    assert.deepEqual(
      [status, headers['content-type'], headers['cache-control']],
      [200, 'application/json', 'no-store'],
    );
    const { Expiration, ...keys } = JSON.parse(body) as { readonly Expiration: string };
    assert.deepEqual(keys, { AccessKeyId: 'AK', SecretAccessKey: 'SK', Token: 'ST' });
    const minutes = (Date.parse(Expiration) - Date.now()) / 60_000;
    assert.ok(minutes > 13 && minutes <= 15, Expiration);
    assert.ok(token.length >= 40, 'more than 128 bits');
  });

  it('gives the keys only to direct requests for its path with its own token and host', async (t) => {
    const { url, token } = await serve(t, await harness.storeSet());
    const right = { Authorization: token };
    const other = await serve(t, await harness.storeSet());
    for (const [status, options] of [
      [401, {}],
      [401, { headers: { Authorization: '' } }],
      [401, { headers: { Authorization: token.slice(0, -1) } }],
      [401, { headers: { Authorization: `${token}x` } }],
      [401, { headers: { Authorization: `Bearer ${token}` } }],
      [401, { headers: { Authorization: other.token } }],
      [403, { headers: { ...right, Host: 'attacker.example.org' } }],
      [403, { headers: { ...right, Host: `localhost:${url.port}` } }],
      [403, { headers: { ...right, 'X-Forwarded-For': '192.0.2.1' } }],
      [403, { headers: { ...right, Forwarded: 'for=192.0.2.1' } }],
      [404, { headers: right, path: '/' }],
      [404, { headers: right, path: `${url.pathname}/` }],
      [404, { headers: right, path: `${url.pathname}?x` }],
      [405, { headers: right, method: 'POST' }],
      [405, { headers: right, method: 'HEAD' }],
    ] as const) {
      const reply = await ask(url, options);
      assert.equal(reply.status, status, JSON.stringify(options));
      assert.doesNotMatch(reply.body, /SK|AK/);
    }
    await assert.rejects(
      ask(url, { headers: { ...right, 'X-Large': 'x'.repeat(20_000) } }).then(({ status }) =>
        assert.equal(status, 200),
      ),
    );
    assert.equal((await ask(url, { headers: right })).status, 200);
  });

  it('closes a connection without a complete request after some seconds', async (t) => {
    const { url } = await serve(t, await harness.storeSet());
    await Promise.all(
      ['', 'GET /credentials HTTP/1.1\r\nHost:'].map(async (said) => {
        const started = performance.now();
        const socket = net.connect(Number(url.port), url.hostname).resume();
        socket.write(said);
        await once(socket, 'close');
        const seconds = (performance.now() - started) / 1000;
        assert.ok(seconds > 3 && seconds < 15, `${seconds} s`);
      }),
    );
  });

  it('serves its own user even if others hold all connections', { skip: skipUnless(root) }, async (t) => {
    const { url, token } = await serve(t, await harness.storeSet());
    const line = `for i in $(seq ${CONNECTIONS_MAX + 8}); do exec {fd}<>/dev/tcp/${url.hostname}/${url.port}; done; echo held; read -r`;
    const [file = '', ...args] = asIdentity(STRANGER, ['/bin/bash', '--norc', '-c', line]);
    const stranger = spawn(file, args, { stdio: ['pipe', 'pipe', 'ignore'] });
    t.after(() => void stranger.kill('SIGKILL'));
    await once(stranger.stdout, 'data');
    const replies = [];
    for (let count = 0; count < 3; count += 1)
      replies.push((await ask(url, { headers: { Authorization: token } })).status);
    assert.deepEqual(replies, [200, 200, 200]);
  });

  it('stops serving when the command ends, and exits as the command does', async (t) => {
    const served = await serve(t, await harness.storeSet());
    assert.equal(await served.end(), 3);
    await assert.rejects(ask(served.url, { headers: { Authorization: served.token } }), { code: 'ECONNREFUSED' });
  });

  it('asks the daemon for each request: a new key takes effect at once, a removed set is reported', async (t) => {
    const set = await harness.storeSet();
    const { url, token } = await serve(t, set);
    const options = { headers: { Authorization: token } };
    await harness.store('rotated', `cio_${set}_secret_key`);
    assert.match((await ask(url, options)).body, /"SecretAccessKey":"rotated"/);
    await harness.succeed(['remove', set, '--yes']);
    const { status, body } = await ask(url, options);
    assert.equal(status, 403);
    assert.equal((JSON.parse(body) as { readonly Code: string }).Code, 'NotFound');
  });

  it('unsets every variable that names other keys or another endpoint', async () => {
    const set = await harness.storeSet();
    const env = {
      AWS_ACCESS_KEY_ID: 'stale',
      AWS_SECRET_ACCESS_KEY: 'stale',
      AWS_SESSION_TOKEN: 'stale',
      AWS_PROFILE: 'stale',
      AWS_ROLE_ARN: 'stale',
      AWS_WEB_IDENTITY_TOKEN_FILE: 'stale',
      AWS_CONTAINER_CREDENTIALS_RELATIVE_URI: 'stale',
      AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: 'stale',
      AWS_CONTAINER_CREDENTIALS_FULL_URI: 'stale',
      AWS_SHARED_CREDENTIALS_FILE: 'stale',
      AWS_CONFIG_FILE: 'stale',
      MINIO_ROOT_USER: 'stale',
      MINIO_ACCESS_KEY: 'stale',
    };
    const stdout = await harness.succeed(['exec', set, '--server', '--', 'env'], { env });
    assert.doesNotMatch(stdout, /stale/);
    assert.doesNotMatch(stdout, /=(?:AK|SK)$/m);
    assert.match(stdout, /^RESTIC_PASSWORD=PW$/m);
  });

  it('refuses sets without S3 keys', async () => {
    await harness.store('azure:backup:/x', 'cio_azure_backup_repo');
    await harness.store('account', 'cio_azure_account_name');
    await harness.store('AAAA', 'cio_azure_account_key');
    await harness.store('PW', 'cio_azure_backup_password');
    assert.match(await harness.fail(EXIT.invalid, ['exec', 'azure', '--server', '--', 'true']), /has no S3 keys/);
    assert.match(await harness.fail(EXIT.invalid, ['credential-process', 'azure']), /has no S3 keys/);
    const identity = await harness.storeSet({ use_iam: 'true' });
    assert.match(await harness.fail(EXIT.invalid, ['credential-process', identity]), /the machine's own identity/);
  });

  it('reports what the system would refuse to execute', async () => {
    const large = await harness.storeSet({ backup_password: 'x'.repeat(131_072) });
    const told = await harness.fail(126, ['exec', large, '--server', '--', 'true']);
    assert.match(told, /the variable RESTIC_PASSWORD is too large for a command/);
    await harness.fail(127, ['exec', large, '--server', '--', 'no-such-command']);
  });

  it('passes on signals, and ends by the signal that ended the command', async (t) => {
    const set = await harness.storeSet();
    // Ends with its parent if the test fails half-way.
    const script = 'trap "echo got; exit 9" TERM; echo ready; while kill -0 $PPID; do sleep 0.05; done';
    const [file, ...args] = [...harness.built, 'credential', 'exec', set, '--server', '--', 'sh', '-c', script];
    const child = spawn(file, args, { env: harness.environment, stdio: ['ignore', 'pipe', 'inherit'] });
    t.after(() => child.kill('SIGKILL'));
    child.stdout.once('data', () => child.kill('SIGTERM'));
    assert.equal(await new Promise((resolve) => child.once('close', resolve)), 9);
    const { signal } = await harness.run(['exec', set, '--server', '--', 'sh', '-c', 'kill -TERM $$']);
    assert.equal(signal, 'SIGTERM');
  });
});

describe('cio credential credential-process', () => {
  it('prints the keys, always with an expiry, and nothing else', async () => {
    const set = await harness.storeSet();
    const { stdout, stderr } = await harness.run(['credential-process', set]);
    const { Expiration, ...keys } = JSON.parse(stdout) as { readonly Expiration: string };
    assert.deepEqual([keys, stderr], [{ Version: 1, AccessKeyId: 'AK', SecretAccessKey: 'SK' }, '']);
    assert.ok(Date.parse(Expiration) > Date.now());
    const temporary = await harness.storeSet({ session_token: 'ST' });
    assert.match(await harness.succeed(['credential-process', temporary]), /"SessionToken":"ST"/);
  });

  it('needs no repository and no password', async () => {
    await harness.store('AK', 'cio_aws_portworx_access_key');
    await harness.store('SK', 'cio_aws_portworx_secret_key');
    assert.match(await harness.succeed(['credential-process', 'aws_portworx']), /"SecretAccessKey":"SK"/);
    await harness.fail(EXIT.notFound, ['credential-process', 'no-such-set']);
  });
});

describe('cio credential exec --file', () => {
  it('gives the path of a memory file that can be opened repeatedly and is sealed against changes', async () => {
    const set = await harness.storeSet({ backup_password: 'in a file' });
    const script =
      'cat "$PASSFILE"; cat "$PASSFILE"; sh -c "cat \\"\\$PASSFILE\\""; (echo changed > "$PASSFILE") 2>/dev/null || echo sealed; readlink "$PASSFILE"';
    const words = ['exec', set, '--file', 'PASSFILE=backup_password', '--', 'sh', '-c', script];
    const text = 'in a filein a filein a file';
    assert.match(await harness.succeed(words), new RegExp(`^${text}sealed\n/memfd:cio`));
  });

  it('passes a certificate authority as a file without being asked', async () => {
    const certificate = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n';
    const set = await harness.storeSet({ endpoint_ca: certificate });
    const script = 'cat "$RESTIC_CACERT" "$AWS_CA_BUNDLE" "$SSL_CERT_FILE"';
    assert.equal(await harness.succeed(['exec', set, '--', 'sh', '-c', script]), certificate.repeat(3));
  });

  it('refuses invalid variables, unknown fields, and fields that the set lacks', async () => {
    const set = await harness.storeSet();
    for (const word of ['X', 'X=nonsense', '=backup_password', '1X=backup_password', 'X=backup_password=']) {
      const told = await harness.fail(EXIT.usage, ['exec', set, '--file', word, '--', 'true']);
      assert.match(told, /Hint: FIELD is one of access_key, account_key, /);
    }
    assert.match(
      await harness.fail(EXIT.notFound, ['exec', set, '--file', 'X=endpoint_ca', '--', 'true']),
      /it lacks endpoint_ca/,
    );
  });
});

describe('RCLONE_PASSWORD_COMMAND', { skip: skipUnless(command('rclone')) }, () => {
  it('decrypts an encrypted configuration', async (t) => {
    const password = await harness.store('config password ü');
    const directory = temporaryDirectory(t);
    const config = path.join(directory, 'rclone.conf');
    fs.writeFileSync(config, await encryptConfig('[x]\ntype = local\n', 'config password ü'));
    fs.writeFileSync(path.join(directory, 'cio'), `#!/bin/sh\nexec ${harness.built.map(quoted).join(' ')} "$@"\n`, {
      mode: 0o755,
    });
    const env = {
      ...harness.environment,
      PATH: `${directory}:/usr/bin:/bin`,
      RCLONE_CONFIG: config,
      RCLONE_PASSWORD_COMMAND: `cio credential get ${password}`,
    };
    const { stdout, stderr } = await run(['rclone', 'listremotes'], { env });
    assert.equal(stdout.toString(), 'x:\n', stderr);
  });
});

/** Encrypts a configuration as rclone does: NaCl secretbox with the SHA-256 of the bracketed password as its key. */
async function encryptConfig(text: string, password: string): Promise<string> {
  await sodium.ready;
  const key = createHash('sha256').update(`[${password}][rclone-config]`).digest();
  const nonce = randomBytes(sodium.crypto_secretbox_NONCEBYTES);
  const sealed = Buffer.concat([nonce, sodium.crypto_secretbox_easy(text, nonce, key)]);
  return `# Encrypted rclone configuration File\n\nRCLONE_ENCRYPT_V0:\n${sealed.toString('base64')}\n`;
}
