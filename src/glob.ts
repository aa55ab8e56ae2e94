const STAR = '*'.charCodeAt(0);
const QUESTION_MARK = '?'.charCodeAt(0);

/**
 * Tells whether a name matches a pattern with `*` (any number of characters, including none) and `?` (exactly one
 * character); every other character stands for itself. The time is at most proportional to the product of both lengths.
 */
export function matchesGlob(pattern: string, name: string): boolean {
  let patternIndex = 0;
  let nameIndex = 0;
  let lastStar = -1;
  let nameAfterStar = 0;
  while (nameIndex < name.length) {
    // Comparing char codes is faster than comparing strings. Past the end the code is NaN, which equals nothing.
    const expected = pattern.charCodeAt(patternIndex);
    if (expected === STAR) {
      lastStar = patternIndex;
      nameAfterStar = nameIndex;
      patternIndex += 1;
    } else if (expected === QUESTION_MARK || expected === name.charCodeAt(nameIndex)) {
      patternIndex += 1;
      nameIndex += 1;
    } else if (lastStar >= 0) {
      nameAfterStar += 1;
      nameIndex = nameAfterStar;
      patternIndex = lastStar + 1;
    } else {
      return false;
    }
  }
  while (pattern.charCodeAt(patternIndex) === STAR) patternIndex += 1;
  return patternIndex === pattern.length;
}
