/**
 * Frees memory at once, and not when V8 comes to collect it: a burst of large messages would have made the heap of the
 * process larger by then, with what was allocated in between spread all over it, and so large it would stay. Whoever has a
 * view of the memory finds it empty.
 */
export function giveBack(memory: ArrayBufferLike): void {
  if (memory instanceof ArrayBuffer && memory.byteLength > 0) memory.transfer(0);
}
