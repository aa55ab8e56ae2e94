import assert from 'node:assert/strict';
import { it } from 'node:test';

import { connect, isCredentialError } from '../../../client/index.ts';
import { startDaemon } from '../../support/daemon.ts';
import { Random } from '../random.ts';
import { History } from './history.ts';

/** As many as in the long form. */
const CALLS = 600;

it('History makes the calls of the long form, and explains the values after them', async (t) => {
  const daemon = await startDaemon(t);
  await using client = await connect({ socket: daemon.socketPath });
  const history = new History();
  await history.make(client, CALLS, new Random(1));
  const stored = new Map<string, string>();
  for (const name of 'abcdefgh') {
    const value = await client.call('Get', { name }).then(
      (found) => found.value ?? undefined,
      (error: unknown) => {
        if (!isCredentialError(error, 'NotFound')) throw error;
        return undefined;
      },
    );
    if (value !== undefined) stored.set(name, value);
  }
  const [some] = stored.keys();
  assert.ok(some !== undefined);
  assert.equal(history.length, CALLS);
  assert.equal(
    history.explain((name) => stored.get(name), CALLS),
    undefined,
  );
  assert.match(history.explain((name) => (name === some ? 'another' : stored.get(name)), CALLS) ?? '', /no moment/);
});
