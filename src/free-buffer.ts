/**
 * Frees the memory at once instead of leaving it to V8's garbage collector. Otherwise a burst of large messages grows
 * the process's heap before the next collection, and small allocations made meanwhile keep it from shrinking again.
 * Existing views of the memory become empty.
 */
export function freeBuffer(buffer: ArrayBufferLike): void {
  if (buffer instanceof ArrayBuffer && buffer.byteLength > 0) buffer.transfer(0);
}
