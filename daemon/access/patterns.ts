import { CredentialError } from '../../src/errors.ts';
import { matchesGlob } from '../../src/glob.ts';
import { NAME_LENGTH_MAX } from '../../src/limits.ts';
import { canonicalName, isUuid } from '../../src/names.ts';
import { canonicalSetName, membershipOf } from '../../src/sets.ts';
import type { CredentialRecord } from '../vault/records.ts';
import { uuidOfSet } from './set-uuid.ts';

/** Most patterns of one call: each is matched against each name. */
const PATTERNS_MAX = 100;

/**
 * Most characters of all globs of one call: matching a name takes up to (length of the glob) × (length of the name)
 * steps.
 */
const GLOB_CHARACTERS_MAX = 4096;
const WILDCARD = /[*?]/;

/**
 * Returns a predicate for the credentials that match at least one of the patterns: a name, a set, the UUID of a set, or
 * a glob. Without patterns, every credential matches.
 *
 * @throws CredentialError `TooLarge`, `InvalidName`
 */
export function patternMatcher(
  storeId: Uint8Array,
  patterns: readonly string[],
): (record: CredentialRecord) => boolean {
  if (patterns.length > PATTERNS_MAX) throw new CredentialError('TooLarge', { limit: PATTERNS_MAX });
  if (patterns.some((pattern) => pattern.length > NAME_LENGTH_MAX)) {
    throw new CredentialError('InvalidName', {
      name: '',
      reason: `a pattern is longer than ${NAME_LENGTH_MAX} characters`,
    });
  }
  const globs = patterns.filter((pattern) => WILDCARD.test(pattern)).map((glob) => glob.replaceAll(/\*+/g, '*'));
  const globCharacters = globs.join('').length;
  if (globCharacters > GLOB_CHARACTERS_MAX) throw new CredentialError('TooLarge', { limit: GLOB_CHARACTERS_MAX });
  if (patterns.length === 0) return () => true;
  const tests = patterns.map((pattern) => {
    const name = canonicalName(pattern);
    const set = canonicalSetName(pattern);
    const uuid = isUuid(pattern) ? pattern.toLowerCase() : undefined;
    return (record: CredentialRecord): boolean => {
      const own = membershipOf(record.name)?.set;
      if (record.name === name || matchesGlob(name, record.name)) return true;
      if (own === undefined) return false;
      return own === set || (uuid !== undefined && uuidOfSet(storeId, record.space, own) === uuid);
    };
  });
  return (record) => tests.some((test) => test(record));
}
