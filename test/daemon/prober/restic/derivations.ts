import { createHook } from 'node:async_hooks';

/** Node's type for a call of scrypt in its thread pool. */
const SCRYPT_REQUEST = 'SCRYPTREQUEST';

/** Returns how often scrypt is called during some work, as reported by the runtime. */
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
