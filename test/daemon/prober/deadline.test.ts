import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { delayed, within } from '../../../daemon/prober/deadline.ts';

const forever = (): Promise<never> => new Promise(() => undefined);
const open = new AbortController().signal;

describe('within()', () => {
  it('gives what the step gives, or throws what it throws', async () => {
    assert.equal(await within(1000, open, async () => 7), 7);
    const error = new Error('its own');
    await assert.rejects(
      within(1000, open, () => Promise.reject(error)),
      error,
    );
  });

  it('leaves a step behind that is late, and tells it so', async () => {
    let stopped: AbortSignal | undefined;
    const late = within(10, open, (signal) => {
      stopped = signal;
      return forever();
    });
    await assert.rejects(late, { name: 'ProbeFailure', reason: 'timed_out' });
    assert.equal(stopped?.aborted, true);
  });

  it('ends with its signal, for the reason of that', async () => {
    const controller = new AbortController();
    const running = within(1000, controller.signal, forever);
    const reason = new Error('enough');
    controller.abort(reason);
    await assert.rejects(running, reason);
    await assert.rejects(within(1000, controller.signal, forever), reason);
  });

  it('says nothing of what becomes of a step that was left behind', async () => {
    const { promise, reject } = Promise.withResolvers<never>();
    await assert.rejects(
      within(1, open, () => promise),
      { reason: 'timed_out' },
    );
    // Unhandled, it would end this process.
    reject(new Error('too late'));
    await new Promise((resolve) => setImmediate(resolve));
  });
});

describe('delayed()', () => {
  it('is aborted a while after its signal, and not before', async () => {
    const controller = new AbortController();
    for (const isEarly of [true, false]) {
      const later = isEarly ? delayed(controller.signal, 20) : undefined;
      controller.abort();
      const signal = later ?? delayed(controller.signal, 20);
      assert.equal(signal.aborted, false);
      // The timer of the signal itself keeps no process alive.
      await new Promise((resolve) => setTimeout(resolve, 60));
      assert.equal(signal.aborted, true);
    }
  });
});
