import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EXIT } from '../../src/errors.ts';
import { cio } from './support/cio.ts';
import { DAEMON, untilServing } from './support/daemon.ts';
import type { Machine } from './support/machine.ts';

interface Check {
  readonly id: string;
  readonly state: string;
  readonly findings: readonly { readonly what: string; readonly mend?: string }[];
}

/** What `doctor` finds, by check, and how it exits. */
async function examine(machine: Machine, user?: string): Promise<{ code: number | null; checks: Map<string, Check> }> {
  const { code, stdout } = await cio(machine, ['doctor', '--json'], user === undefined ? {} : { user });
  const { checks } = JSON.parse(stdout) as { checks: readonly Check[] };
  return { code, checks: new Map(checks.map((check) => [check.id, check])) };
}

/** What is broken, the check that must see it, and what it must say. */
const BREAKAGES = [
  ['a store that others can read', 'chmod 0644 /var/lib/cio-credentiald/credentials.db', 'store', /has mode 0644/],
  ['a LOAD socket that others can reach', 'chmod 0666 /run/cio-credentiald/load', 'sockets', /has mode 0666/],
  ['probers that nobody starts', 'systemctl stop cio-credential-prober.socket', 'sockets', /is inactive/],
  [
    'probers that must not be started',
    'systemctl mask --quiet --now cio-credential-prober.socket',
    'sockets',
    /is inactive/,
  ],
  [
    'a LOAD socket that must not be served, beside those that are',
    'systemctl mask --quiet --now cio-credentiald-load-encrypted.socket',
    'sockets',
    /load-encrypted\.socket is inactive/,
  ],
  [
    'a LOAD socket that must not be served before the next boot',
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
    'connections that no crash survives',
    `mkdir -p /etc/systemd/system/${DAEMON}.d
     printf '[Service]\\nFileDescriptorStoreMax=0\\n' > /etc/systemd/system/${DAEMON}.d/less.conf
     systemctl daemon-reload; systemctl restart ${DAEMON}`,
    'daemon',
    /keeps 0 connections over a crash/,
  ],
] as const;

/** What `cio credential doctor` says of the installed daemon, whole and broken; each is mended by what it says. */
export function doctor(machine: Machine): void {
  test('doctor finds nothing wrong with the daemon, its sockets, its sandbox and its store', async () => {
    const { checks } = await examine(machine);
    for (const id of ['daemon', 'sockets', 'hardening', 'core-dumps', 'store']) {
      assert.equal(checks.get(id)?.state, 'ok', JSON.stringify(checks.get(id) ?? [...checks.keys()]));
    }
  });

  test('doctor tells a user what he may see, and calls nothing good that he may not', async () => {
    const { checks } = await examine(machine, 'cio-stranger');
    assert.equal(checks.get('sockets')?.state, 'ok', JSON.stringify(checks.get('sockets')));
    for (const id of ['hardening', 'core-dumps', 'store', 'slots']) {
      assert.equal(checks.get(id)?.state, 'skipped', JSON.stringify(checks.get(id)));
    }
  });

  for (const [what, script, id, expected] of BREAKAGES) {
    test(`doctor tells of ${what}, and what it says mends it`, async () => {
      await machine.shell(script);
      await untilServing(machine);
      const { code, checks } = await examine(machine);
      assert.deepEqual([code, checks.get(id)?.state], [EXIT.failed, 'error'], JSON.stringify(checks.get(id)));
      const finding = checks.get(id)?.findings.find((each) => expected.test(each.what));
      assert.ok(finding?.mend !== undefined, JSON.stringify(checks.get(id)));
      await machine.shell(finding.mend);
      await untilServing(machine);
      const mended = (await examine(machine)).checks.get(id);
      assert.equal(mended?.state, 'ok', JSON.stringify(mended));
    });
  }

  test('doctor looks at the store where a drop-in has moved it, and has nobody throw that away', async () => {
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
      const [mend = ''] = checks.get('store')?.findings.map((finding) => finding.mend) ?? [];
      assert.match(mend, prefix);
      await machine.shell(mend);
      assert.equal((await examine(machine)).checks.get('store')?.state, 'ok');
    }
    await machine.writeFile(
      dropIn,
      '[Service]\nReadWritePaths=/srv/moved\nEnvironment=CIO_STATE_DIR=/srv/moved\nUMask=0\n',
    );
    await machine.shell(restart);
    await untilServing(machine);
    const [finding] = (await examine(machine)).checks.get('hardening')?.findings ?? [];
    assert.match(finding?.mend ?? '', /^"\$\{EDITOR:-vi\}" \S+\/move\.conf && /);
    await machine.shell(`rm -r /srv/moved "$1"; ${restart}`, dropIn);
    await untilServing(machine);
  });
}
