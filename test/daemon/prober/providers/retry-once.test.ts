import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { ProbeFailure } from '../../../../daemon/prober/failure.ts';
import { retryOnce } from '../../../../daemon/prober/providers/retry-once.ts';

const open = new AbortController().signal;

/** Fails with the given failures one after the other, then succeeds, and counts its calls. */
function failing(...failures: readonly Error[]): { readonly ask: () => Promise<string>; readonly count: () => number } {
  let count = 0;
  const ask = async (): Promise<string> => {
    const failure = failures[count];
    count += 1;
    if (failure !== undefined) throw failure;
    return 'an answer';
  };
  return { ask, count: () => count };
}

describe('retryOnce()', () => {
  it('repeats a request that failed on the server once', async () => {
    const once = failing(new ProbeFailure('server_error'));
    assert.deepEqual([await retryOnce(once.ask, open), once.count()], ['an answer', 2]);
    const last = new ProbeFailure('server_error');
    const ever = failing(new ProbeFailure('server_error'), last);
    await assert.rejects(retryOnce(ever.ask, open), last);
    assert.equal(ever.count(), 2);
  });

  it('passes isRepeated to a repeated request, and sets followsUnknownOutcome on its failure', async () => {
    const last = new ProbeFailure('access_denied');
    let count = 0;
    const asked = (...failures: readonly Error[]): Promise<boolean> =>
      retryOnce(async (isRepeated) => {
        const failure = failures[count];
        count += 1;
        if (failure !== undefined) throw failure;
        return isRepeated;
      }, open);
    assert.equal(await asked(), false);
    count = 0;
    assert.equal(await asked(new ProbeFailure('server_error')), true);
    count = 0;
    await assert.rejects(asked(last), { followsUnknownOutcome: false });
    count = 0;
    await assert.rejects(asked(new ProbeFailure('server_error'), last), { followsUnknownOutcome: true });
  });

  it('does not repeat a request that failed for any other reason', async () => {
    for (const error of [new ProbeFailure('access_denied'), new TypeError('a defect')]) {
      const { ask, count } = failing(error);
      await assert.rejects(retryOnce(ask, open), error);
      assert.equal(count(), 1);
    }
  });

  it("is aborted by its signal while it waits, with the signal's reason", async () => {
    const controller = new AbortController();
    const { ask, count } = failing(new ProbeFailure('server_error'));
    const asked = retryOnce(ask, controller.signal);
    const reason = new Error('cancelled');
    setImmediate(() => controller.abort(reason));
    await assert.rejects(asked, reason);
    assert.equal(count(), 1);
  });
});
