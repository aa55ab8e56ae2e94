import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { delayedAbort, withTimeout } from '../../../daemon/prober/deadline.ts';

const forever = (): Promise<never> => new Promise(() => undefined);
const open = new AbortController().signal;

describe('withTimeout()', () => {
  it('returns the result of the step, or throws its error', async () => {
    assert.equal(await withTimeout(1000, open, async () => 7), 7);
    const error = new Error('its own');
    await assert.rejects(
      withTimeout(1000, open, () => Promise.reject(error)),
      error,
    );
  });

  it('abandons a late step, and aborts its signal', async () => {
    let stopped: AbortSignal | undefined;
    const late = withTimeout(10, open, (signal) => {
      stopped = signal;
      return forever();
    });
    await assert.rejects(late, { name: 'ProbeFailure', reason: 'timed_out' });
    assert.equal(stopped?.aborted, true);
  });

  it('ends with its signal, for the same reason', async () => {
    const controller = new AbortController();
    const running = withTimeout(1000, controller.signal, forever);
    const reason = new Error('enough');
    controller.abort(reason);
    await assert.rejects(running, reason);
    await assert.rejects(withTimeout(1000, controller.signal, forever), reason);
  });

  it('ignores the later result of an abandoned step', async () => {
    const { promise, reject } = Promise.withResolvers<never>();
    await assert.rejects(
      withTimeout(1, open, () => promise),
      { reason: 'timed_out' },
    );
    // An unhandled rejection would end this process.
    reject(new Error('too late'));
    await new Promise((resolve) => setImmediate(resolve));
  });
});

describe('delayedAbort()', () => {
  it('is aborted a while after its signal, and not before', async () => {
    const controller = new AbortController();
    for (const isEarly of [true, false]) {
      const later = isEarly ? delayedAbort(controller.signal, 20) : undefined;
      controller.abort();
      const signal = later ?? delayedAbort(controller.signal, 20);
      assert.equal(signal.aborted, false);
      // The timer of the signal does not keep the process alive.
      await new Promise((resolve) => setTimeout(resolve, 60));
      assert.equal(signal.aborted, true);
    }
  });
});
