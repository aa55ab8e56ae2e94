/** The author of the entries, who is the maintainer of the package. */
const MAINTAINER = 'cio-credentiald developers <maintainers@cio-credentiald.invalid>';

/** A heading such as `## 0.1.0, 2026-11-22` or `## 0.2.0-rc.1, not released`. */
const HEADING = /^## (?<version>\d\S*?)(?:, (?:(?<day>\d{4}-\d{2}-\d{2})|.*))?$/;

/** The longest line of a Debian changelog that lintian accepts, with its indentation. */
const LINE_LENGTH_MAX = 80;
const INDENT = '    ';

/** Converts a version for Debian's order, in which a tilde makes a pre-release come before its release. */
export function debianVersion(version: string): string {
  return version.replace('-', '~');
}

/**
 * Converts CHANGELOG.md to a Debian changelog, with an entry for each version and its list of changes.
 *
 * @param version the version of the package; it gets an entry of its own if CHANGELOG.md has none
 * @param released the date for versions that have none yet
 */
export function debianChangelog(markdown: string, version: string, released: Date): string {
  const [latest, ...others] = entriesOf(markdown);
  const own = { version, day: undefined, changes: [`Version ${version}.`] };
  // An entry without a date is not released yet, so it is the version that is built now.
  const isOwn = latest !== undefined && (latest.version === version || latest.day === undefined);
  const entries = isOwn
    ? [{ ...latest, version }, ...others]
    : [own, ...(latest === undefined ? [] : [latest]), ...others];
  return entries
    .map((entry) => {
      const date = entry.day === undefined ? released : new Date(`${entry.day}T00:00:00Z`);
      const changes = entry.changes.length === 0 ? ['No list of changes.'] : entry.changes;
      const head = `cio-credentiald (${debianVersion(entry.version)}) stable; urgency=medium`;
      return `${head}\n\n${changes.map(wrapped).join('')}\n -- ${MAINTAINER}  ${rfc5322(date)}\n`;
    })
    .join('\n');
}

interface Entry {
  readonly version: string;
  readonly day: string | undefined;
  readonly changes: string[];
}

function entriesOf(markdown: string): Entry[] {
  const entries: Entry[] = [];
  for (const line of markdown.split('\n')) {
    const heading = HEADING.exec(line)?.groups;
    const changes = entries.at(-1)?.changes;
    if (heading?.['version'] !== undefined) {
      entries.push({ version: heading['version'], day: heading['day'], changes: [] });
    } else if (line.startsWith('- ')) {
      changes?.push(line.slice(2));
    } else if (line.startsWith('  ') && changes !== undefined && changes.length > 0) {
      changes.push(`${changes.pop() ?? ''} ${line.trim()}`);
    }
  }
  return entries;
}

/** Wraps a change to lines that are short enough. A word that is longer is not split. */
function wrapped(change: string): string {
  const lines = [''];
  for (const word of change.split(/\s+/)) {
    const line = lines.at(-1) ?? '';
    if (line !== '' && INDENT.length + line.length + 1 + word.length > LINE_LENGTH_MAX) lines.push(word);
    else lines[lines.length - 1] = line === '' ? word : `${line} ${word}`;
  }
  return lines.map((line, at) => `${at === 0 ? '  * ' : INDENT}${line}\n`).join('');
}

/** Formats a date as `Sun, 22 Nov 2026 03:57:38 +0000`. */
function rfc5322(date: Date): string {
  return date.toUTCString().replace('GMT', '+0000');
}
