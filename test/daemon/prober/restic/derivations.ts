import { createHook } from 'node:async_hooks';

/** What Node calls a call of scrypt that works in its pool. */
const SCRYPT_REQUEST = 'SCRYPTREQUEST';

/** How often scrypt was called during some work, as the runtime itself tells it. */
export async function countDerivations(work: () => unknown): Promise<number> {
  let count = 0;
  const hook = createHook({
    init(_id, type) {
      if (type === SCRYPT_REQUEST) count += 1;
    },
  }).enable();
  try {
    await work();
  } finally {
    hook.disable();
  }
  return count;
}
