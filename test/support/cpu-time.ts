import assert from 'node:assert/strict';

/**
 * Runs synchronous work, and fails if that uses more CPU time than the limit. The load of other processes does not
 * count. A test's `timeout` cannot check this: it takes effect only when the event loop runs again, and by then the
 * test has passed.
 */
export function withinCpuTime(limitMs: number, work: () => void): void {
  const spentMs = cpuTimeOf(work);
  assert.ok(spentMs < limitMs, `it took ${spentMs} ms of the processor; ${limitMs} are allowed`);
}

/** Runs synchronous work. @returns the CPU time that this process used for it, in ms */
export function cpuTimeOf(work: () => void): number {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}
