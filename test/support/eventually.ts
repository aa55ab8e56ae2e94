import { setTimeout as pause } from 'node:timers/promises';
import { HANG_MS } from './hang.ts';

const TIME_MAX_MS = HANG_MS;
const PAUSE_MS = 5;

/** Resolves once the condition holds. @throws Error if it does not within two minutes */
export async function eventually(condition: () => boolean): Promise<void> {
  const deadline = performance.now() + TIME_MAX_MS;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`it never came to: ${condition.toString()}`);
    await pause(PAUSE_MS);
  }
}
