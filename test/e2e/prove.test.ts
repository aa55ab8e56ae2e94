import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { after, before, describe, it } from 'node:test';
import type { ListOut, ProveOut, StatusOut } from '../../src/protocol/interface.generated.ts';
import { startDaemon } from '../support/daemon.ts';
import type { Daemon } from '../support/daemon.ts';
import { MINIO_SERVER, startMinioServer } from '../support/minio-server.ts';
import type { MinioServer } from '../support/minio-server.ts';
import { skipUnless } from '../support/requirements.ts';
import type { Scope } from '../support/scope.ts';
import { RawVarlink } from '../support/varlink.ts';
import { suiteScope } from '../daemon/prober/harness.ts';

const REGION = 'eu-central-9';

function method(name: string): string {
  return `io.cio.Credentials.${name}`;
}

function candidate(server: MinioServer, rest: Readonly<Record<string, string>> = {}): object[] {
  const { accessKey, secretKey, endpoint } = server;
  const fields = { access_key: accessKey, secret_key: secretKey, endpoint, region: REGION, ...rest };
  return Object.entries(fields).map(([field, value]) => ({ name: `cio_minio_${field}`, value }));
}

async function ask<Out>(scope: Scope, daemon: Daemon, name: string, parameters: object = {}): Promise<Out> {
  const connection = await RawVarlink.connect(scope, daemon.socketPath);
  const { error, parameters: out } = await connection.call(method(name), parameters);
  connection.close();
  assert.equal(error, undefined, daemon.log);
  return out as Out;
}

/** Checks that no credential and no set is stored, and that nothing was committed. */
async function assertNothingIsThere(scope: Scope, daemon: Daemon): Promise<void> {
  const { credentials, sets } = await ask<ListOut>(scope, daemon, 'List');
  assert.deepEqual([credentials, sets], [[], []]);
  assert.equal((await ask<StatusOut>(scope, daemon, 'Status')).generation, 0);
}

describe('Prove against MinIO, with the real prober', { skip: skipUnless(...MINIO_SERVER) }, () => {
  const scope = suiteScope(after);
  let server: MinioServer;
  before(async () => {
    server = await startMinioServer(scope, REGION);
  });

  it('stores nothing of a set that fails, and all of one that works, with a bucket of its own', async (t) => {
    const daemon = await startDaemon(t);
    const connection = await RawVarlink.connect(t, daemon.socketPath);
    const wrong = { credentials: candidate(server, { secret_key: 'minio/root+secret/0000000000000000000002' }) };
    const refused = await connection.callMore(method('Prove'), { ...wrong, makeBucket: true });
    const found = refused.flatMap(({ parameters }) => (parameters as unknown as ProveOut).findings);
    assert.deepEqual(
      found.filter(({ state }) => state === 'failed').map(({ check, name }) => [check, name]),
      [['key', 'cio_minio_secret_key']],
    );
    await assertNothingIsThere(t, daemon);

    const replies = await connection.callMore(method('Prove'), { credentials: candidate(server), makeBucket: true });
    const out = replies.at(-1)?.parameters as unknown as ProveOut;
    assert.equal(out.failed, false, JSON.stringify(replies));
    assert.equal(out.saved.length, 5);
    const { storeId, failing } = await ask<StatusOut>(t, daemon, 'Status');
    assert.equal(failing, 0);
    const { credentials, sets } = await ask<ListOut>(t, daemon, 'List');
    assert.equal(credentials.find(({ field }) => field === 'bucket')?.value, storeId);
    assert.equal(sets[0]?.health.state, 'passed');
    const validated = await ask<ProveOut>(t, daemon, 'Validate', { target: 'minio' });
    assert.equal(validated.failed, false, JSON.stringify(validated));
    assert.ok(validated.findings.some(({ check, state }) => check === 'read_back' && state === 'passed'));
    await daemon.stop();
  });
});

describe('Prove against a server that never answers', () => {
  /** Starts a Prove; returns its caller, and a promise for the end of the prober's connection to the server. */
  async function begin(t: Scope, daemon: Daemon): Promise<{ caller: RawVarlink; ended: Promise<unknown> }> {
    const server = net.createServer().listen(0, '127.0.0.1');
    t.after(() => void server.close());
    await once(server, 'listening');
    const { port } = server.address() as net.AddressInfo;
    const endpoint = `http://127.0.0.1:${port}`;
    const caller = await RawVarlink.connect(t, daemon.socketPath);
    const credentials = candidate({ endpoint, accessKey: 'access', secretKey: 'secret' }, { bucket: 'backup-123' });
    caller.send({ method: method('Prove'), parameters: { credentials }, more: true });
    const [asked] = (await once(server, 'connection')) as [net.Socket];
    asked.on('error', () => undefined).resume();
    return { caller, ended: once(asked, 'close') };
  }

  it('shows nothing to other callers, and stops without storing anything when the caller disconnects', async (t) => {
    const daemon = await startDaemon(t);
    const { caller, ended } = await begin(t, daemon);
    await assertNothingIsThere(t, daemon);
    caller.close();
    await ended;
    await assertNothingIsThere(t, daemon);
    await daemon.stop();
    assert.ok(!daemon.log.includes('internal error'), daemon.log);
  });

  it('leaves nothing behind when the daemon is killed', async (t) => {
    const daemon = await startDaemon(t);
    const { ended } = await begin(t, daemon);
    await daemon.service.stop('SIGKILL');
    await ended;
    const { stateDirectory, runtimeDirectory } = daemon;
    const again = await startDaemon(t, { stateDirectory, runtimeDirectory });
    await assertNothingIsThere(t, again);
    assert.deepEqual(await ask(t, again, 'Fsck'), { records: 3, problems: [], repaired: false });
    await again.stop();
  });
});
