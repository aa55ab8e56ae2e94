/**
 * Frees the memory at once instead of leaving it to V8's garbage collector. Otherwise a burst of large messages grows
 * the process's heap before the next collection, and small allocations made meanwhile keep it from shrinking again.
 * Existing views of the memory become empty.
 */
export function giveBack(memory: ArrayBufferLike): void {
  if (memory instanceof ArrayBuffer && memory.byteLength > 0) memory.transfer(0);
}
