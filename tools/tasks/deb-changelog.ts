/** Who signs the entries; the package's Maintainer. */
const MAINTAINER = 'cio-credentiald developers <maintainers@cio-credentiald.invalid>';

/** `## 0.1.0, 2026-11-22` or `## 0.2.0-rc.1, not released` */
const HEADING = /^## (?<version>\d\S*?)(?:, (?:(?<day>\d{4}-\d{2}-\d{2})|.*))?$/;

/** lintian wants lines of a Debian changelog within this; those of a change are indented. */
const LINE_LENGTH_MAX = 80;
const INDENT = '    ';

/** The version as Debian orders it: a pre-release comes before its release. */
export function debianVersion(version: string): string {
  return version.replace('-', '~');
}

/**
 * Makes a Debian changelog of CHANGELOG.md: an entry for each version in it, with its list.
 *
 * @param version of the package that is built; it gets an entry of its own where CHANGELOG.md has none
 * @param released for versions that have no date yet
 */
export function debianChangelog(markdown: string, version: string, released: Date): string {
  const [latest, ...others] = entriesOf(markdown);
  const own = { version, day: undefined, changes: [`Version ${version}.`] };
  // What is not released yet is what is built now.
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

/** One change as lines that are short enough; a word that is longer stays whole. */
function wrapped(change: string): string {
  const lines = [''];
  for (const word of change.split(/\s+/)) {
    const line = lines.at(-1) ?? '';
    if (line !== '' && INDENT.length + line.length + 1 + word.length > LINE_LENGTH_MAX) lines.push(word);
    else lines[lines.length - 1] = line === '' ? word : `${line} ${word}`;
  }
  return lines.map((line, at) => `${at === 0 ? '  * ' : INDENT}${line}\n`).join('');
}

/** `Sun, 22 Nov 2026 03:57:38 +0000` */
function rfc5322(date: Date): string {
  return date.toUTCString().replace('GMT', '+0000');
}
