import type { Entry } from './entry.ts';
import {
  foundSet,
  lackOf,
  pickValues,
  valueOf,
  withoutSlash,
  type Found,
  type FoundSet,
  type LeftOut,
} from './found.ts';
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

/** Sections of AWS's config that are no profiles. */
const OTHER_SECTIONS = /^(?:sso-session|services|plugins|preview)\b/;

/** Keys of profiles whose keys come from elsewhere each time; a stored copy would be none of theirs. */
const INDIRECT: readonly (readonly [key: string, reason: string])[] = [
  ['credential_process', 'its keys come from a program (credential_process)'],
  ['sso_session', 'its keys come from a login (SSO)'],
  ['sso_start_url', 'its keys come from a login (SSO)'],
  ['role_arn', 'its keys come from a role (role_arn)'],
  ['web_identity_token_file', 'its keys come from a token (web identity)'],
  ['credential_source', 'its keys come from the machine (credential_source)'],
];

interface Profile {
  /** The first that has its name, and the text which that is in. */
  readonly section: Section;
  readonly text: number;
  entries: readonly Entry[];
  readonly secretTexts: number[];
}

/**
 * Reads the files that the AWS tools share, `~/.aws/credentials` and `~/.aws/config`; Velero's file `cloud` is the first
 * of them. A profile that is in both is one set, with the keys of the first.
 *
 * @param texts prepared, see prepareText
 */
export function readAws(...texts: readonly string[]): Found {
  const profiles = new Map<string, Profile>();
  for (const { section, text } of texts.flatMap((each, text) => parseIni(each).map((section) => ({ section, text })))) {
    if (OTHER_SECTIONS.test(section.name)) continue;
    const name = section.name.replace(/^profile\s+/, '').replace(/^(["'])(.*)\1$/, '$2');
    const known = profiles.get(name) ?? { section, text, entries: [], secretTexts: [] };
    profiles.set(name, known);
    known.entries = withDefaults(known.entries, section.entries);
    // Also those of a key that is in both.
    if (SECRET_KEYS.some((key) => valueOf(section.entries, key) !== undefined)) known.secretTexts.push(text);
  }
  const sets: FoundSet[] = [];
  const leftOut: LeftOut[] = [];
  for (const [name, { section, text, entries, secretTexts }] of profiles) {
    const values = pickValues(entries, FIELDS);
    const endpoint = values.get('endpoint');
    if (endpoint !== undefined) values.set('endpoint', withoutSlash(endpoint));
    const lack = lackOf(values, 'access_key', 'secret_key');
    const indirect = INDIRECT.find(([key]) => valueOf(entries, key) !== undefined)?.[1];
    if (lack === undefined)
      sets.push({
        ...foundSet(section.line, name === 'default' || name === '' ? undefined : name, values, 'aws'),
        text,
        secretTexts,
        // Those of the other file are not in this one.
        ...(texts.length > 1 && { lines: new Map() }),
      });
    else
      leftOut.push({
        line: section.line,
        text,
        what: describeSection(section.name || 'default'),
        reason: indirect ?? lack,
      });
  }
  return { sets, credentials: [], leftOut };
}

/** The entries of both, those of the first where a key is in both. */
function withDefaults(entries: readonly Entry[], others: readonly Entry[]): Entry[] {
  const keys = new Set(entries.map(({ key }) => key.toLowerCase()));
  return [...entries, ...others.filter(({ key }) => !keys.has(key.toLowerCase()))];
}
