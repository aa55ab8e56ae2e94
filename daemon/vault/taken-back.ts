import type { GenerationRange, PrincipalRecord } from './records.ts';

/** Most ranges of a space. Few stores are restored as often, and all of them are sealed anew with every commit. */
const RANGES_MAX = 16;

/** Tells whether a restore took a generation of a space back: who has seen it may have seen what is gone. */
export function isTakenBack(space: PrincipalRecord | undefined, generation: number): boolean {
  return space?.restored?.some(({ after, at }) => after < generation && generation < at) ?? false;
}

/**
 * What a space of a copy becomes where the copy takes the place of the store's contents. It counts on from where the store is,
 * with the restore as the next generation, unless it is ahead of that.
 *
 * Of the generations up to its own, a copy of the same store says itself which were taken back: one that the store takes for
 * gone since may be what the copy brings back. It does not know of generations that were counted here for another store's
 * contents. These are in a range after 0, which stays whatever is restored.
 *
 * @param isSameStore whether the copy has the id of the store
 */
export function afterRestore(
  copied: PrincipalRecord,
  replaced: PrincipalRecord,
  isSameStore: boolean,
): PrincipalRecord {
  const at = replaced.generation + 1;
  // A copy that is ahead was counted on elsewhere, whatever its id: from which generation on, nobody knows.
  const isOfItsPast = isSameStore && copied.generation < at;
  const restored = joinRanges([
    ...(replaced.restored ?? []).filter(({ after }) => after === 0),
    ...(copied.restored ?? []),
    { after: isOfItsPast ? copied.generation : 0, at },
  ]);
  return { ...copied, generation: Math.max(copied.generation, at), ...(restored.length > 0 && { restored }) };
}

/**
 * Ranges of the same generations, ascending, with a generation that is good between any two. Where they are too many, one
 * covers the oldest and what is between them: better a conflict that is none than a change that is lost.
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
