import type { Entry } from './entry.ts';
import { foundSet, missingKeyReason, pickValues, valueOf, type Found, type FoundSet, type Skipped } from './found.ts';
import { describeSection, parseIni, type Section } from './ini.ts';

const FIELDS = {
  aws_access_key_id: 'access_key',
  aws_secret_access_key: 'secret_key',
  aws_session_token: 'session_token',
  aws_security_token: 'session_token',
  region: 'region',
  endpoint_url: 'endpoint',
};

const SECRET_KEYS = ['aws_secret_access_key', 'aws_session_token', 'aws_security_token'];

/** Sections of AWS's config that are not profiles. */
const OTHER_SECTIONS = /^(?:sso-session|services|plugins|preview)\b/;

/** Settings of profiles that obtain their keys from elsewhere each time, so that there are none to store. */
const INDIRECT: readonly (readonly [key: string, reason: string])[] = [
  ['credential_process', 'its keys come from a program (credential_process)'],
  ['sso_session', 'its keys come from a login (SSO)'],
  ['sso_start_url', 'its keys come from a login (SSO)'],
  ['role_arn', 'its keys come from a role (role_arn)'],
  ['web_identity_token_file', 'its keys come from a token (web identity)'],
  ['credential_source', 'its keys come from the machine (credential_source)'],
];

interface Profile {
  /** The first section of the profile. */
  readonly section: Section;
  /** Index of the text that has this section. */
  readonly text: number;
  entries: readonly Entry[];
  /** Indices of the texts that have secrets of the profile. */
  readonly secretTexts: number[];
}

/**
 * Reads the shared files of the AWS tools, `~/.aws/credentials` and `~/.aws/config`. Velero's file `cloud` has the form
 * of the first. A profile that is in both files becomes one set, in which values of the first file take precedence.
 *
 * @param texts as returned by prepareText
 */
export function readAws(...texts: readonly string[]): Found {
  const profiles = new Map<string, Profile>();
  for (const { section, text } of texts.flatMap((each, text) => parseIni(each).map((section) => ({ section, text })))) {
    if (OTHER_SECTIONS.test(section.name)) continue;
    const name = section.name.replace(/^profile\s+/, '').replace(/^(["'])(.*)\1$/, '$2');
    const known = profiles.get(name) ?? { section, text, entries: [], secretTexts: [] };
    profiles.set(name, known);
    known.entries = withDefaults(known.entries, section.entries);
    // Include a text whose key is overridden by an earlier one.
    if (SECRET_KEYS.some((key) => valueOf(section.entries, key) !== undefined)) known.secretTexts.push(text);
  }
  const sets: FoundSet[] = [];
  const skipped: Skipped[] = [];
  for (const [name, { section, text, entries, secretTexts }] of profiles) {
    const values = pickValues(entries, FIELDS);
    const missing = missingKeyReason(values, 'access_key', 'secret_key');
    const indirect = INDIRECT.find(([key]) => valueOf(entries, key) !== undefined)?.[1];
    if (missing === undefined)
      sets.push({
        ...foundSet(section.line, name === 'default' || name === '' ? undefined : name, values, 'aws'),
        text,
        secretTexts,
        // With two files, a value's line number could belong to the other one.
        ...(texts.length > 1 && { lines: new Map() }),
      });
    else
      skipped.push({
        line: section.line,
        text,
        what: describeSection(section.name || 'default'),
        reason: indirect ?? missing,
      });
  }
  return { sets, credentials: [], skipped };
}

/** Returns the entries of both lists; for a key that is in both, the entry of the first. */
function withDefaults(entries: readonly Entry[], others: readonly Entry[]): Entry[] {
  const keys = new Set(entries.map(({ key }) => key.toLowerCase()));
  return [...entries, ...others.filter(({ key }) => !keys.has(key.toLowerCase()))];
}
