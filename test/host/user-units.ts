import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { cio, cioSucceeds, waiting } from './support/cio.ts';
import { LOAD_SOCKET } from './support/consumer.ts';
import type { Machine, RunOptions } from './support/machine.ts';

const PAGE = path.join(import.meta.dirname, '..', '..', 'docs', 'systemd.md');
const readPage = (): string => fs.readFileSync(PAGE, 'utf8');
const USER = 'cio-homebody';
const VALUE = 'of one user alone';

/** Does what PAM and logind do at a login, for a machine without pam_systemd. */
const WITHOUT_PAM = '[Service]\nPAMName=\nEnvironment=XDG_RUNTIME_DIR=/run/user/%i\n';

const STARTED = { Result: 'success', ExecMainStatus: '0' };
const NO_CREDENTIALS = { Result: 'exit-code', ExecMainStatus: '243' };

/** A user's own systemd, whose units load their credentials from the user's own daemon. */
export function userUnits(machine: Machine): void {
  const uid = machine.succeed.bind(machine, ['id', '--user', USER]);
  const as = async (): Promise<RunOptions> => {
    const number = (await uid()).trim();
    return { user: USER, env: { XDG_RUNTIME_DIR: `/run/user/${number}`, HOME: `/home/${USER}` } };
  };
  const systemctl = async (...args: string[]): Promise<string> =>
    machine.succeed(['systemctl', '--user', ...args], await as());
  const writeUnit = async (name: string, text: string): Promise<void> => {
    const file = `/home/${USER}/.config/systemd/user/${name}`;
    const script = 'mkdir -p "$(dirname "$1")"; cat > "$1"';
    await machine.succeed(['sh', '-euc', script, 'sh', file], { ...(await as()), input: text });
    await systemctl('daemon-reload');
  };
  const end = (unit: string): Promise<Record<string, string>> =>
    machine.until(async () => {
      const text = await systemctl('show', '--property=Job,Result,ExecMainStatus', unit);
      const { Job, ...outcome } = Object.fromEntries(
        text
          .trim()
          .split('\n')
          .map((line) => line.split('=') as [string, string]),
      );
      return Job === undefined || Job === '' || Job === '0' ? outcome : undefined;
    });
  /** Writes and starts a unit that loads one credential and succeeds only if that is {@link VALUE}. */
  const begin = async (unit: string, load: string, order = ''): Promise<void> => {
    const [id = ''] = load.slice(load.indexOf('=') + 1).split(':');
    const command = `/bin/sh -c 'test "$$(cat "$$CREDENTIALS_DIRECTORY/${id}")" = "${VALUE}"'`;
    await writeUnit(unit, `${order}[Service]\nType=oneshot\n${load}\nExecStart=${command}\n`);
    await systemctl('start', '--no-block', unit);
  };
  const start = async (unit: string, load: string): Promise<Record<string, string>> => {
    await begin(unit, load);
    return end(unit);
  };

  test("a user's systemd runs the user's own daemon with the unit from the documentation", async () => {
    const [, unit = ''] = /^## For a user's own units\n[\s\S]*?\n\n((?: {4}.*\n|\n)+)/m.exec(readPage()) ?? [];
    assert.match(unit, /cio-credentiald --user/);
    await machine.succeed(['useradd', '--user-group', '--create-home', USER]);
    await machine.writeFile('/run/systemd/system/user@.service.d/without-pam.conf', WITHOUT_PAM);
    await machine.shell('systemctl daemon-reload; systemctl start "user@$1.service"', (await uid()).trim());
    await writeUnit('cio-credentiald.service', unit.replaceAll(/^ {4}/gm, ''));
    await systemctl('enable', '--quiet', '--now', 'cio-credentiald');
    assert.match(await systemctl('show', '--property=StatusText', 'cio-credentiald'), /=The store is open$/m);
  });

  test("a user's units get what the user granted to them, and other units do not", async () => {
    await cioSucceeds(machine, ['create', 'mine', VALUE], await as());
    for (const unit of ['plain.service', 'sealed.service']) {
      await cioSucceeds(machine, ['grant', 'mine', '--unit', unit], await as());
    }
    const plain = 'LoadCredential=mine:%t/cio-credentiald/load';
    assert.deepEqual(await start('plain.service', plain), STARTED);
    const sealed = 'LoadCredentialEncrypted=mine:%t/cio-credentiald/load-encrypted';
    assert.deepEqual(await start('sealed.service', sealed), STARTED);
    assert.deepEqual(await start('denied.service', plain), NO_CREDENTIALS);
  });

  test("the host's daemon refuses a user's units, and a user's daemon the host's units", async () => {
    assert.deepEqual(await start('plain.service', `LoadCredential=mine:${LOAD_SOCKET}`), NO_CREDENTIALS);
    const { XDG_RUNTIME_DIR = '' } = (await as()).env ?? {};
    const load = `--property=LoadCredential=mine:${XDG_RUNTIME_DIR}/cio-credentiald/load`;
    const unit = ['systemd-run', '--quiet', '--wait', '--collect', '--unit=plain.service', load, 'true'];
    assert.equal((await machine.run(unit)).code, Number(NO_CREDENTIALS.ExecMainStatus));
  });

  test("a user's waiting and running units survive a kill of the user's daemon, ordered as the documentation says", async () => {
    const [, order = ''] = /^ {4}(\[Unit\]\n {4}.*\n {4}After=cio-credentiald\.service\n)/m.exec(readPage()) ?? [];
    assert.match(order, /=cio-credentiald\.service/);
    const count = async (): Promise<number | undefined> => {
      const { stdout, code } = await cio(machine, ['status', '--json'], await as());
      return code === 0 ? (JSON.parse(stdout) as { waiting?: number }).waiting : undefined;
    };
    const untilOneWaits = (): Promise<true> => machine.until(async () => (await count()) === 1 || undefined, 20_000);
    await cioSucceeds(machine, ['grant', 'later', '--unit', 'later.service', '--missing', 'block'], await as());
    await begin('later.service', 'LoadCredential=later:%t/cio-credentiald/load', order);
    await untilOneWaits();
    await cioSucceeds(machine, ['grant', 'mine', '--unit', 'runs.service'], await as());
    const load = 'LoadCredential=mine:%t/cio-credentiald/load';
    await writeUnit('runs.service', `${order}\n[Service]\n${load}\nExecStart=/bin/sleep infinity\n`);
    await systemctl('start', 'runs.service');
    const running = await systemctl('show', '--property=MainPID,ActiveState', 'runs.service');
    await systemctl('kill', '--kill-whom=main', '--signal=KILL', 'cio-credentiald');
    await untilOneWaits();
    assert.equal(await waiting(machine), 0, 'it is the daemon of the user that keeps it');
    await cioSucceeds(machine, ['create', 'later', VALUE], await as());
    assert.deepEqual(await end('later.service'), STARTED);
    assert.equal(await systemctl('show', '--property=MainPID,ActiveState', 'runs.service'), running);
    await machine.shell('systemctl stop "user@$1.service" "user-runtime-dir@$1.service"', (await uid()).trim());
  });
}
