import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Canaries } from '../support/canary.ts';
import { assertUnseen } from '../support/canary.ts';
import { DAEMON } from './support/daemon.ts';
import type { Machine } from './support/machine.ts';

/** A file created when the machine booted. */
const BOOTED = '/run/systemd/container';

/** Priorities of syslog(3). */
const WARNING = '4';
const INFO = '6';

/** The journal and the files that all earlier tests left behind. */
export function journal(machine: Machine, canaries: Canaries): void {
  test("the daemon's log lines have their priority, and no priority prefix in their text", async () => {
    const entries = await machine.journal(DAEMON);
    const priorityOf = (pattern: RegExp): string[] => [
      ...new Set(entries.filter(({ MESSAGE }) => pattern.test(MESSAGE)).map(({ PRIORITY }) => PRIORITY)),
    ];
    assert.deepEqual(priorityOf(/^the store is open /), [INFO]);
    assert.deepEqual(priorityOf(/^a unit was refused a credential /), [WARNING]);
    assert.deepEqual(priorityOf(/^a peer that is not systemd was refused /), [WARNING]);
    assert.deepEqual(
      entries.filter(({ MESSAGE }) => /^<\d>/.test(MESSAGE)),
      [],
    );
  });

  test('the daemon logged no defect', async () => {
    const defects = (await machine.journal(DAEMON)).filter(({ MESSAGE }) =>
      /internal error|TypeError| at=/.test(MESSAGE),
    );
    assert.deepEqual(defects, []);
  });

  test("no planted secret is in the journal, in logs, in temporary files or in the daemon's files", async () => {
    const everything = await machine.succeed(['journalctl', '--all', '--output=json', '--no-pager']);
    assertUnseen(canaries.findIn('the journal', everything));
    // Older files are skipped: there are too many of them, and they are the host's.
    const script = 'cd "$1"; find . -type f -newer "$2" -not -name "*.deb" -not -path "./package/*" -exec cat {} +';
    for (const directory of [
      '/var/log',
      '/tmp',
      '/var/tmp',
      '/var/lib/cio-credentiald',
      '/run/cio-credentiald',
      '/etc',
    ]) {
      const { code, stdout, stderr } = await machine.run(['sh', '-euc', script, 'sh', directory, BOOTED]);
      assert.equal(code, 0, stderr);
      assertUnseen(canaries.findIn(directory, stdout));
    }
  });
}
