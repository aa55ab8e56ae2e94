import assert from 'node:assert/strict';
import fs from 'node:fs';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { mayBeSwapped } from '../../../daemon/kernel/hardening.ts';
import { Service, run } from '../../support/process.ts';
import { DAEMON_SOURCE, startDaemon } from '../../support/daemon.ts';
import { command, lockedMemory, root, skipUnless } from '../../support/requirements.ts';

const MODULE = new URL('../../../daemon/kernel/hardening.ts', import.meta.url).href;
/** The keys, the arena and stack they are used in, and the pads. */
const LOCKED_KIBIBYTES = 48;
const SCRIPT = `
  const { hardenProcess } = await import(process.argv[1]);
  console.log(process.argv[2] === 'hardened' ? JSON.stringify(hardenProcess()) : '', 'ready');
  setInterval(() => undefined, 1e6);
`;

/**
 * Root without capabilities is checked like any other user: whether it may read one of its own processes depends on
 * whether that process is dumpable.
 */
const POWERLESS = ['setpriv', '--bounding-set=-all', '--inh-caps=-all', '--'];

/** Returns the files in /proc/PID that another process of the same user can read. */
async function readable(pid: number): Promise<string[]> {
  const found: string[] = [];
  for (const [tool, file] of [
    ['cat', 'environ'],
    ['head', 'mem'],
    ['cat', 'maps'],
    ['readlink', 'fd/0'],
  ] as const) {
    const place = `/proc/${pid}/${file}`;
    const { code, stderr } = await run([...POWERLESS, tool, place]);
    // Nothing is mapped at address 0, but the file could be opened.
    if (code === 0 || stderr.includes('Input/output error')) found.push(file);
  }
  return found;
}

describe('hardenProcess()', { skip: skipUnless(root, command('setpriv', 'util-linux')) }, () => {
  const start = async (t: TestContext, how: 'as it is' | 'hardened'): Promise<Service> => {
    const node = [process.execPath, '--input-type=module', '-e', SCRIPT, MODULE, how];
    const service = new Service(t, [...POWERLESS, ...node], { env: { SECRET: 'x' } });
    await service.printed('ready');
    return service;
  };

  it("keeps the process's memory, environment and open files from others of the same user", async (t) => {
    const service = await start(t, 'hardened');
    assert.match(service.output, /\{"isUndumpable":true,"warnings":\[\]\}/);
    assert.deepEqual(await readable(service.pid), []);
  });

  it('is necessary: an unhardened process is readable', async (t) => {
    const { pid } = await start(t, 'as it is');
    assert.deepEqual(await readable(pid), ['environ', 'mem', 'maps', 'fd/0']);
  });

  it(
    'is called by the daemon, which also locks the memory of its keys',
    { skip: skipUnless(lockedMemory) },
    async (t) => {
      const daemon = await startDaemon(t, {
        command: [...POWERLESS, ...DAEMON_SOURCE],
        args: ['--user', '--validate-every', 'off'],
      });
      assert.deepEqual(await readable(daemon.pid), []);
      const status = fs.readFileSync(`/proc/${daemon.pid}/status`, 'utf8');
      assert.ok(Number(/^VmLck:\s+(\d+) kB$/m.exec(status)?.[1]) >= LOCKED_KIBIBYTES, status);
    },
  );
});

describe('mayBeSwapped()', () => {
  it('returns false if there is no swap', () => {
    const hasSwap = fs.readFileSync('/proc/swaps', 'utf8').trim().split('\n').length > 1;
    if (hasSwap) assert.equal(typeof mayBeSwapped(), 'boolean');
    else assert.equal(mayBeSwapped(), false);
  });
});
