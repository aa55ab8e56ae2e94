import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EXIT } from '../../src/errors.ts';
import { cio } from './support/cio.ts';
import { DAEMON, untilServing } from './support/daemon.ts';
import type { Machine } from './support/machine.ts';

interface Check {
  readonly id: string;
  readonly state: string;
  readonly findings: readonly { readonly what: string; readonly fix?: string }[];
}

/** Returns what `doctor` finds, by check, and its exit code. */
async function examine(machine: Machine, user?: string): Promise<{ code: number | null; checks: Map<string, Check> }> {
  const { code, stdout } = await cio(machine, ['doctor', '--json'], user === undefined ? {} : { user });
  const { checks } = JSON.parse(stdout) as { checks: readonly Check[] };
  return { code, checks: new Map(checks.map((check) => [check.id, check])) };
}

/** What is broken, a script that breaks it, the check that must find it, and the finding's text. */
const BREAKAGES = [
  ['a store that others can read', 'chmod 0644 /var/lib/cio-credentiald/credentials.db', 'store', /has mode 0644/],
  ['a LOAD socket that others can reach', 'chmod 0666 /run/cio-credentiald/load', 'sockets', /has mode 0666/],
  ['an inactive socket of the prober', 'systemctl stop cio-credential-prober.socket', 'sockets', /is inactive/],
  [
    'a masked socket of the prober',
    'systemctl mask --quiet --now cio-credential-prober.socket',
    'sockets',
    /is inactive/,
  ],
  [
    'a masked LOAD socket next to the others',
    'systemctl mask --quiet --now cio-credentiald-load-encrypted.socket',
    'sockets',
    /load-encrypted\.socket is inactive/,
  ],
  [
    'a LOAD socket that is masked until the next boot',
    'systemctl mask --quiet --runtime --now cio-credentiald-load.socket',
    'sockets',
    /credentiald-load\.socket is inactive/,
  ],
  [
    'a LOAD socket that a drop-in opens to others',
    `mkdir -p /etc/systemd/system/cio-credentiald-load.socket.d
     printf '[Socket]\\nSocketMode=0666\\n' > /etc/systemd/system/cio-credentiald-load.socket.d/open.conf
     systemctl daemon-reload; systemctl restart cio-credentiald-load.socket`,
    'sockets',
    /has mode 0666/,
  ],
  [
    'a daemon whose connections do not survive a crash',
    `mkdir -p /etc/systemd/system/${DAEMON}.d
     printf '[Service]\\nFileDescriptorStoreMax=0\\n' > /etc/systemd/system/${DAEMON}.d/less.conf
     systemctl daemon-reload; systemctl restart ${DAEMON}`,
    'daemon',
    /keeps 0 connections across a crash/,
  ],
] as const;

/**
 * `cio credential doctor` on the installed daemon, intact and broken. Each breakage is repaired by the command that the
 * finding suggests.
 */
export function doctor(machine: Machine): void {
  test('doctor finds nothing wrong with the daemon, its sockets, its sandbox and its store', async () => {
    const { checks } = await examine(machine);
    for (const id of ['daemon', 'sockets', 'hardening', 'core-dumps', 'store']) {
      assert.equal(checks.get(id)?.state, 'ok', JSON.stringify(checks.get(id) ?? [...checks.keys()]));
    }
  });

  test('doctor checks what an unprivileged user may see, and skips what they may not', async () => {
    const { checks } = await examine(machine, 'cio-stranger');
    assert.equal(checks.get('sockets')?.state, 'ok', JSON.stringify(checks.get('sockets')));
    for (const id of ['hardening', 'core-dumps', 'store', 'slots']) {
      assert.equal(checks.get(id)?.state, 'skipped', JSON.stringify(checks.get(id)));
    }
  });

  for (const [what, script, id, expected] of BREAKAGES) {
    test(`doctor finds ${what}, and the command that it suggests repairs it`, async () => {
      await machine.shell(script);
      await untilServing(machine);
      const { code, checks } = await examine(machine);
      assert.deepEqual([code, checks.get(id)?.state], [EXIT.failed, 'error'], JSON.stringify(checks.get(id)));
      const finding = checks.get(id)?.findings.find((each) => expected.test(each.what));
      assert.ok(finding?.fix !== undefined, JSON.stringify(checks.get(id)));
      await machine.shell(finding.fix);
      await untilServing(machine);
      const fixed = (await examine(machine)).checks.get(id);
      assert.equal(fixed?.state, 'ok', JSON.stringify(fixed));
    });
  }

  test('doctor finds the store that a drop-in has moved, and its suggestions do not discard the drop-in', async () => {
    const dropIn = `/etc/systemd/system/${DAEMON}.d/move.conf`;
    await machine.shell(
      `systemctl stop ${DAEMON}; cp -a /var/lib/cio-credentiald /srv/moved; mkdir -p "\${1%/*}"`,
      dropIn,
    );
    const restart = `systemctl daemon-reload; systemctl restart ${DAEMON}`;
    for (const [settings, prefix] of [
      ['BindPaths=/srv/moved:/var/lib/cio-credentiald', /^chmod 0600 \/proc\/\d+\/root\/var\/lib\/cio-credentiald\//],
      ['ReadWritePaths=/srv/moved\nEnvironment=CIO_STATE_DIR=/srv/moved', /^chmod 0600 \/srv\/moved\//],
    ] as const) {
      await machine.writeFile(dropIn, `[Service]\n${settings}\n`);
      await machine.shell(restart);
      await untilServing(machine);
      await machine.shell('chmod 0644 /srv/moved/credentials.db');
      const { checks } = await examine(machine);
      assert.equal(checks.get('hardening')?.state, 'ok', JSON.stringify(checks.get('hardening')));
      const [fix = ''] = checks.get('store')?.findings.map((finding) => finding.fix) ?? [];
      assert.match(fix, prefix);
      await machine.shell(fix);
      assert.equal((await examine(machine)).checks.get('store')?.state, 'ok');
    }
    await machine.writeFile(
      dropIn,
      '[Service]\nReadWritePaths=/srv/moved\nEnvironment=CIO_STATE_DIR=/srv/moved\nUMask=0\n',
    );
    await machine.shell(restart);
    await untilServing(machine);
    const [finding] = (await examine(machine)).checks.get('hardening')?.findings ?? [];
    assert.match(finding?.fix ?? '', /^"\$\{EDITOR:-vi\}" \S+\/move\.conf && /);
    await machine.shell(`rm -r /srv/moved "$1"; ${restart}`, dropIn);
    await untilServing(machine);
  });
}
