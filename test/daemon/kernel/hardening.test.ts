import assert from 'node:assert/strict';
import fs from 'node:fs';
import { describe, it } from 'node:test';
import { mayBeSwapped } from '../../../daemon/kernel/hardening.ts';
import { Service, run } from '../../support/process.ts';
import { root, skipUnless } from '../../support/requirements.ts';

const MODULE = new URL('../../../daemon/kernel/hardening.ts', import.meta.url).href;
const SCRIPT = `
  const { hardenProcess } = await import(process.argv[1]);
  // The module is loaded by root; from here on it is somebody else's process.
  if (process.getuid() === 0) { process.setgid(65534); process.setuid(65534); }
  console.log(JSON.stringify(hardenProcess()), 'hardened');
  setInterval(() => undefined, 1e6);
`;

describe('hardenProcess()', () => {
  it(
    "keeps the process's memory, environment and open files from others of the same user",
    { skip: skipUnless(root) },
    async (t) => {
      const command = [process.execPath, '--input-type=module', '-e', SCRIPT, MODULE];
      const service = new Service(t, command, { env: { SECRET: 'x' } });
      await service.printed('hardened');
      assert.match(service.output, /\{"isUndumpable":true,"warnings":\[\]\}/);
      assert.match(fs.readFileSync(`/proc/${service.pid}/status`, 'utf8'), /^Uid:\s+65534\s/m);
      for (const file of ['environ', 'mem', 'maps', 'fd/0']) {
        const place = `/proc/${service.pid}/${file}`;
        assert.equal(fs.lstatSync(`/proc/${service.pid}/environ`).uid, 0);
        const as = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', '--'];
        const { code, stderr } = await run([...as, file.startsWith('fd/') ? 'readlink' : 'cat', place]);
        assert.notEqual(code, 0, `${file} ${stderr}`);
      }
    },
  );
});

describe('mayBeSwapped()', () => {
  it('says no where there is no swap', () => {
    const hasSwap = fs.readFileSync('/proc/swaps', 'utf8').trim().split('\n').length > 1;
    if (hasSwap) assert.equal(typeof mayBeSwapped(), 'boolean');
    else assert.equal(mayBeSwapped(), false);
  });
});
