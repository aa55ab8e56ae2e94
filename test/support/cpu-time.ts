import assert from 'node:assert/strict';

/**
 * Does work that goes on without a break, and fails where it takes more of the processor than that: what others do
 * meanwhile does not count. The `timeout` of a test says nothing here. It is looked at when the event loop goes on, and by
 * then the test has passed.
 */
export function withinCpuTime(limitMs: number, work: () => void): void {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  const spentMs = (user + system) / 1000;
  assert.ok(spentMs < limitMs, `it took ${spentMs} ms of the processor; ${limitMs} are allowed`);
}
