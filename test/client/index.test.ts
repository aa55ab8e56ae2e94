import assert from 'node:assert/strict';
import path from 'node:path';
import { after, describe, it } from 'node:test';
import {
  connect,
  ConnectionError,
  CredentialError,
  decodeValue,
  encodeValue,
  isCredentialError,
} from '../../client/index.ts';
import { startDaemon } from '../support/daemon.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const daemon = await startDaemon({ after });
const options = { socket: daemon.socketPath };

describe('connect()', () => {
  it('makes typed calls to a real daemon, many at a time', async () => {
    await using client = await connect(options);
    const bytes = Uint8Array.of(0, 0xff);
    await client.call('Create', { credentials: [{ name: 'bytes', ...encodeValue(bytes) }] });
    const names = Array.from({ length: 300 }, (_, index) => `many-${index}`);
    await Promise.all(names.map((name) => client.call('Create', { credentials: [{ name, value: name }] })));
    const replies = await Promise.all(names.map((name) => client.call('Get', { name })));
    assert.deepEqual(
      replies.map(({ value }) => value),
      names,
    );
    assert.deepEqual([...(decodeValue(await client.call('Get', { name: 'bytes' })) ?? [])], [...bytes]);
  });

  it('streams a list', async () => {
    await using client = await connect(options);
    await client.call('Create', { credentials: [{ name: 'cio_aws_access_key', value: 'AK' }], replace: true });
    const seen: string[] = [];
    for await (const { credentials, sets } of client.stream('List', { patterns: ['aws'] })) {
      seen.push(...credentials.map(({ name }) => name), ...sets.map(({ set }) => set));
    }
    assert.deepEqual(seen, ['cio_aws_access_key', 'aws']);
  });

  it('throws errors with codes and fields', async () => {
    await using client = await connect(options);
    await assert.rejects(client.call('Get', { name: 'nowhere' }), (error) => {
      assert.ok(error instanceof CredentialError && isCredentialError(error, 'NotFound'));
      assert.deepEqual(error.fields, { name: 'nowhere' });
      return true;
    });
    await assert.rejects(client.call('Get', { name: 'NOWHERE' }), (error) => isCredentialError(error, 'InvalidName'));
  });

  it('says why there is no daemon', async (t) => {
    const socket = path.join(temporaryDirectory(t), 'socket');
    await assert.rejects(connect({ socket }), (error) => {
      assert.ok(error instanceof ConnectionError);
      assert.deepEqual([error.reason, error.socket], ['not_found', socket]);
      return true;
    });
  });

  it('fails calls under way and later ones when the daemon is killed', async (t) => {
    const doomed = await startDaemon(t);
    const client = await connect({ socket: doomed.socketPath });
    await client.call('Status', {});
    doomed.service.signal('SIGKILL');
    await doomed.service.exited;
    const isClosed = (error: unknown): boolean => error instanceof ConnectionError && error.reason === 'closed';
    await assert.rejects(client.call('Status', {}), isClosed);
    await assert.rejects(client.stream('List', {}).next(), isClosed);
    await assert.rejects(connect({ socket: doomed.socketPath }), (error) => {
      return error instanceof ConnectionError && error.reason === 'refused';
    });
  });
});
