/** Counts the messages that end in these bytes. */
export function countMessages(bytes: Buffer): number {
  let count = 0;
  for (let nul = bytes.indexOf(0); nul !== -1; nul = bytes.indexOf(0, nul + 1)) count += 1;
  return count;
}
