import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { runSuccessfully } from '../../support/process.ts';
import { skipUnless, tracer } from '../../support/requirements.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { readTrace, traced } from '../../torture/power/trace.ts';

const MODULE = new URL('../../../daemon/store/copy-directory.ts', import.meta.url).href;
const SCRIPT = 'const [, module, from, to] = process.argv; (await import(module)).renameDurably(from, to);';

describe('renameDurably()', () => {
  it('returns once the new name is on the disk', { skip: skipUnless(tracer) }, async (t) => {
    const directory = path.join(temporaryDirectory(t), 'state');
    mkdirSync(directory);
    const trace = path.join(path.dirname(directory), 'trace');
    const [from, to] = [path.join(directory, 'new'), path.join(directory, 'kept')];
    writeFileSync(from, 'copy');
    const command = [process.execPath, '--input-type=module', '-e', SCRIPT, MODULE, from, to];
    await runSuccessfully([...traced(trace), ...command]);
    const changes = readTrace(trace, directory);
    assert.deepEqual(changes, [
      { kind: 'rename', from, path: to },
      { kind: 'sync', path: directory },
    ]);
    assert.equal(readFileSync(to, 'utf8'), 'copy');
  });
});
