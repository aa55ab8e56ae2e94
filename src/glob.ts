const STAR = '*'.charCodeAt(0);
const QUESTION_MARK = '?'.charCodeAt(0);

/**
 * Tells whether a name fits a pattern with `*` (any characters, none too) and `?` (any one character); every other
 * character stands for itself. Takes time of at most the product of both lengths, whatever the pattern.
 */
export function matchesGlob(pattern: string, name: string): boolean {
  let patternIndex = 0;
  let nameIndex = 0;
  let lastStar = -1;
  let nameAfterStar = 0;
  while (nameIndex < name.length) {
    // By code, which is quicker; behind the end it is NaN, and equal to nothing.
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
