import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Finding } from '../../src/protocol/interface.generated.ts';
import type { Canaries } from '../support/canary.ts';
import { assertUnseen } from '../support/canary.ts';
import { cio, cioSucceeds, save } from './support/cio.ts';
import type { Machine } from './support/machine.ts';

const PROBERS_SLICE = 'system-cio_credential_prober.slice';

interface Report {
  readonly sets: readonly { readonly set: string; readonly failed: boolean; readonly findings: readonly Finding[] }[];
}

/** Returns what `validate SET` finds, by check. */
async function findings(machine: Machine, set: string, exitCode: number): Promise<Map<string, Finding>> {
  const { code, stdout, stderr } = await cio(machine, ['validate', set, '--json']);
  assert.equal(code, exitCode, `${stderr}${stdout}`);
  const [report] = (JSON.parse(stdout) as Report).sets;
  return new Map(report?.findings.map((finding) => [finding.check, finding]));
}

/** Validates the set `aws`, whose repository the restic tests made, with the prober that systemd starts. */
export function validation(machine: Machine, canaries: Canaries): void {
  test('a working set passes every check up to the password', async () => {
    const found = await findings(machine, 'aws', 0);
    for (const check of ['shape', 'resolve', 'connect', 'key', 'bucket', 'list', 'write', 'delete', 'password']) {
      assert.equal(found.get(check)?.state, 'passed', JSON.stringify([...found.values()]));
    }
    assert.equal(found.get('tls')?.state, 'skipped', 'the server speaks plain http');
  });

  test('a wrong repository password is found and named', async () => {
    await save(machine, 'cio_aws_backup_password', canaries.plant('wrong restic password'));
    const found = await findings(machine, 'aws', 9);
    const { state, reason, name } = found.get('password') ?? {};
    assert.deepEqual([state, reason, name], ['failed', 'wrong_password', 'cio_aws_backup_password']);
    await cioSucceeds(machine, ['rollback', 'cio_aws_backup_password']);
    assert.equal((await findings(machine, 'aws', 0)).get('password')?.state, 'passed');
  });

  test('each validation runs in a sandboxed prober process of its own, which leaves nothing behind', async () => {
    const pid = await machine.show('cio-credentiald.service', 'MainPID');
    const script = 'ls -l "/proc/$1/fd"; cat "/proc/$1/task/$1/children"';
    assert.doesNotMatch(await machine.shell(script, pid.MainPID), /\d+ $/m, 'the daemon has no child');
    const units = ['systemctl', 'list-units', '--all', '--plain', '--no-legend', 'cio-credential-prober@*'];
    await machine.until(async () => (await machine.succeed(units)) === '' || undefined, 20_000);
    const entries = await machine.succeed([
      'journalctl',
      '--output=cat',
      '--no-pager',
      '--unit=cio-credential-prober@*',
    ]);
    assert.match(entries, /Deactivated successfully/);
    assertUnseen(canaries.findIn('the journal of the prober', entries));
  });

  test("all probers share one control group next to the daemon's, with a low CPU weight", async () => {
    const ran = await machine.succeed(['journalctl', '--output=cat', `--unit=${PROBERS_SLICE}`]);
    assert.match(ran, /^Created slice /m);
    const { ControlGroup, CPUWeight } = await machine.show(PROBERS_SLICE, 'ControlGroup', 'CPUWeight');
    assert.deepEqual([ControlGroup, CPUWeight], [`/system.slice/${PROBERS_SLICE}`, '20']);
    assert.equal((await machine.show('cio-credentiald.service', 'CPUWeight')).CPUWeight, '300');
  });

  test("only the daemon can connect to the prober's socket", async () => {
    const script = `import socket; s = socket.socket(socket.AF_UNIX); s.connect('/run/cio-credentiald/probe')`;
    const { code, stderr } = await machine.run(['python3', '-c', script], { user: 'cio-stranger' });
    assert.notEqual(code, 0);
    assert.match(stderr, /PermissionError/);
  });
}
