import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { debianChangelog, debianVersion } from '../../tools/tasks/deb-changelog.ts';

const RELEASED = new Date('2026-11-22T03:57:38Z');

const MARKDOWN = `# Changelog

## 0.2.0-rc.1, not released

- First change, which goes on for so long that it does not fit into one line of a Debian changelog, and is
  wrapped in its own way.
- Second change.

## 0.1.0, 2026-01-02

Text that is no list.

- The beginning.
`;

describe('debianVersion()', () => {
  it('sorts a pre-release before its release, as dpkg does', () => {
    const versions = ['0.1.0', '0.2.0-rc.1', '0.2.0-rc.2', '0.2.0', '0.10.0'].map(debianVersion);
    for (const [at, version] of versions.slice(1).entries()) {
      const { status } = spawnSync('dpkg', ['--compare-versions', versions[at] ?? '', 'lt', version]);
      assert.equal(status, 0, `${versions[at]} < ${version}`);
    }
  });
});

describe('debianChangelog()', () => {
  it('has an entry for each version, with its changes and its date', () => {
    assert.equal(
      debianChangelog(MARKDOWN, '0.2.0-rc.1', RELEASED),
      `cio-credentiald (0.2.0~rc.1) stable; urgency=medium

  * First change, which goes on for so long that it does not fit into one line
    of a Debian changelog, and is wrapped in its own way.
  * Second change.

 -- cio-credentiald developers <maintainers@cio-credentiald.invalid>  Sun, 22 Nov 2026 03:57:38 +0000

cio-credentiald (0.1.0) stable; urgency=medium

  * The beginning.

 -- cio-credentiald developers <maintainers@cio-credentiald.invalid>  Fri, 02 Jan 2026 00:00:00 +0000
`,
    );
  });

  it('gives the unreleased section the version that is built', () => {
    const changelog = debianChangelog(MARKDOWN, '0.2.0', RELEASED);
    assert.deepEqual(changelog.match(/^cio-credentiald \(.*?\)/gm), [
      'cio-credentiald (0.2.0)',
      'cio-credentiald (0.1.0)',
    ]);
  });

  it('adds an entry for a version that the text does not have', () => {
    const changelog = debianChangelog(MARKDOWN.replace('not released', '2026-10-10'), '0.3.0', RELEASED);
    assert.match(changelog, /^cio-credentiald \(0\.3\.0\) stable; urgency=medium\n\n {2}\* Version 0\.3\.0\.\n/);
    assert.equal(changelog.match(/^ -- /gm)?.length, 3);
  });

  it('accepts the changelog of this package', () => {
    const markdown = fs.readFileSync(path.join(import.meta.dirname, '..', '..', 'CHANGELOG.md'), 'utf8');
    const changelog = debianChangelog(markdown, '0.1.0', RELEASED);
    assert.match(changelog, /^cio-credentiald \(0\.1\.0\)/);
    for (const line of changelog.split('\n')) if (!line.startsWith(' --')) assert.ok(line.length <= 80, line);
  });
});
