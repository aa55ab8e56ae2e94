import type { GenerationRange, PrincipalRecord } from './records.ts';

/** Most ranges of a space. Few stores are restored that often, and all ranges are sealed again with every commit. */
const RANGES_MAX = 16;

/**
 * Tells whether a generation of a space was lost in a restore: a client that saw this generation may have seen contents
 * that are gone.
 */
export function isLostInRestore(space: PrincipalRecord | undefined, generation: number): boolean {
  return space?.restored?.some(({ after, at }) => after < generation && generation < at) ?? false;
}

/**
 * Returns the record of a space of a copy as it is after the copy has replaced the store's contents. The restore
 * becomes the generation after that of the store, unless the copy is ahead of that.
 *
 * A copy of the same store lists the lost ones among the generations up to its own: one that the store has lost since
 * may be just what the copy brings back. But the copy does not know of generations that were counted here for the
 * contents of another store. These are in a range that starts after 0, which every restore keeps.
 *
 * @param isSameStore whether the copy has the id of the store
 */
export function afterRestore(
  copied: PrincipalRecord,
  replaced: PrincipalRecord,
  isSameStore: boolean,
): PrincipalRecord {
  const at = replaced.generation + 1;
  // A copy that is ahead has lived on elsewhere, whatever its id, and it is not known since which generation.
  const isOfItsPast = isSameStore && copied.generation < at;
  const restored = joinRanges([
    ...(replaced.restored ?? []).filter(({ after }) => after === 0),
    ...(copied.restored ?? []),
    { after: isOfItsPast ? copied.generation : 0, at },
  ]);
  return { ...copied, generation: Math.max(copied.generation, at), ...(restored.length > 0 && { restored }) };
}

/**
 * Joins ranges: the result covers the same generations, ascending, with at least one valid generation between any two
 * ranges. If there are too many, one range covers the oldest ones and all between them: a false conflict is better than
 * a lost change.
 */
function joinRanges(ranges: readonly GenerationRange[]): GenerationRange[] {
  const joined: GenerationRange[] = [];
  const full = ranges.filter(({ after, at }) => after + 1 < at);
  for (const range of full.toSorted((a, b) => a.after - b.after)) {
    const last = joined.at(-1);
    if (last === undefined || last.at <= range.after) joined.push(range);
    else joined.splice(-1, 1, { after: last.after, at: Math.max(last.at, range.at) });
  }
  const newest = joined.splice(1 - RANGES_MAX);
  const [first] = joined;
  const last = joined.at(-1);
  return first === undefined || last === undefined ? newest : [{ after: first.after, at: last.at }, ...newest];
}
