import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { EXIT } from '../../../src/errors.ts';
import { startDaemon } from '../../support/daemon.ts';
import { eventually } from '../../support/eventually.ts';
import { run, Service } from '../../support/process.ts';
import type { Scope } from '../../support/scope.ts';
import { quoted } from '../terminal.ts';
import { Harness, newName } from './harness.ts';

const harness = await Harness.start({ after });

function watching(scope: Scope, words: readonly string[] = [], h: Harness = harness): Service {
  return new Service(scope, [...h.built, 'credential', 'watch', ...words], { env: h.environment });
}

function documents(service: Service): Record<string, unknown>[] {
  const lines = service.output.split('\n').filter((line) => line.startsWith('{'));
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
}

describe('cio credential watch', () => {
  it('prints a line for each credential and set, and one for each change, without values', async (t) => {
    const set = await harness.storeSet({ secret_key: 'canary-key' });
    const service = watching(t, [set]);
    await service.printed(`set         ${set}  ready, unproved, generation `);
    assert.match(
      service.output,
      /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC {2}present {2}credential {2}cio_s3_\S+_access_key {2}version 1, /,
    );
    await harness.store('canary-new', `cio_${set}_secret_key`);
    await service.printed(`changed  credential  cio_${set}_secret_key  version 2`);
    await harness.succeed(['remove', `cio_${set}_access_key`, '-y']);
    await service.printed(`gone     credential  cio_${set}_access_key`);
    await service.printed(`changed  set         ${set}  lacks access_key`);
    assert.doesNotMatch(service.output, /canary|s3:https/);
    service.signal('SIGINT');
    const { code, signal } = await service.exited;
    assert.deepEqual([code, signal], [null, 'SIGINT']);
    assert.doesNotMatch(service.output, /Failed|at /);
  });

  it('prints one JSON document per line with --json, as soon as something happens', async (t) => {
    const name = newName();
    const service = watching(t, [name, '--json']);
    await service.printed('{"event":"settled"}\n');
    await harness.store('a', name);
    await service.printed('"new"');
    await harness.store('b', name);
    await service.printed('"changed"');
    await harness.succeed(['remove', name, '-y']);
    await service.printed('"gone"');
    assert.deepEqual(
      documents(service).map(({ event, kind, version }) => [event, kind, version]),
      [
        ['settled', undefined, undefined],
        ['new', 'credential', 1],
        ['changed', 'credential', 2],
        ['gone', 'credential', undefined],
      ],
    );
  });

  it('ends quietly when its reader has gone', async () => {
    await harness.store('x');
    const script = `${harness.built.map(quoted).join(' ')} credential watch | head -1; echo "$?" "\${PIPESTATUS[0]}"`;
    const running = run(['/bin/bash', '--norc', '-c', script], { env: harness.environment });
    const ended = new AbortController();
    void running.finally(() => ended.abort());
    // The closed pipe is noticed at the next line written.
    while (!ended.signal.aborted) await harness.store('x');
    const { stdout, stderr } = await running;
    assert.match(stdout.toString(), /\n0 0\n$/);
    assert.equal(stderr, '');
  });

  it('fails like any other command if the daemon is absent at first, or the store locked', async (t) => {
    await harness.fail(EXIT.notReachable, ['watch'], { socketPath: '/nonexistent/socket' });
    const own = await Harness.start(t);
    await own.succeed(['lock']);
    await own.fail(EXIT.locked, ['watch']);
  });

  it('survives a restart of the daemon and a lock, and then prints only the differences', async (t) => {
    const own = await Harness.start(t);
    await own.store('1', 'same');
    await own.store('1', 'removed');
    const service = watching(t, ['--json'], own);
    await service.printed('{"event":"settled"}\n');
    await own.succeed(['lock']);
    await service.printed('The store is locked; waiting until it is open.\n');
    await own.succeed(['unlock']);
    await service.printed('Watching again.\n');
    await own.daemon.stop();
    await service.printed('The daemon is gone; waiting until it is back.\n');
    const { stateDirectory, runtimeDirectory } = own.daemon;
    await startDaemon(t, { stateDirectory, runtimeDirectory });
    await own.succeed(['remove', 'removed', '-y']);
    await own.store('1', 'added');
    await eventually(() => documents(service).length >= 5);
    assert.deepEqual(
      documents(service)
        .slice(3)
        .map(({ event, name }) => `${event as string} ${name as string}`)
        .toSorted(),
      ['gone removed', 'new added'],
    );
  });
});
