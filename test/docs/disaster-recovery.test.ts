import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { it } from 'node:test';
import { connect } from '../../client/index.ts';
import { EXIT } from '../../src/errors.ts';
import { quoted } from '../client/terminal.ts';
import { pagesOf, zeroPage } from '../daemon/vault/raw-file.ts';
import { CIO_SOURCE } from '../support/cio.ts';
import { DAEMON_SOURCE, startDaemon } from '../support/daemon.ts';
import { plainEnvironment, run } from '../support/process.ts';
import type { Finished } from '../support/process.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const ROOT = path.join(import.meta.dirname, '..', '..');
const STATE = '/var/lib/cio-credentiald';
/** Enough credentials for the b-tree to have inner pages between its root and its leaves. */
const CREDENTIALS = 150;

/**
 * The commands that the page gives for damaged pages, split at the `systemctl` lines, which the test carries out
 * itself.
 */
function recipe(): readonly string[] {
  const text = fs.readFileSync(path.join(ROOT, 'docs', 'disaster-recovery.md'), 'utf8');
  const [, section = ''] = /^## Where pages of the file are damaged$(.*?)^## /ms.exec(text) ?? [];
  const typed = [...section.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, block = '']) => block);
  assert.equal(typed.length, 2);
  return typed.flatMap((block) => block.split(/^(systemctl .*)\n/m)).filter((part) => part !== '');
}

/** Returns the last inner page, so that the records below it are far from the start of the table. */
function innerPage(file: string): number {
  const [root, ...others] = pagesOf(file, 'internal');
  const page = others.at(-1);
  assert.ok(root !== undefined && page !== undefined);
  return page;
}

it('docs/disaster-recovery.md restores a store with a damaged page when its commands are run as written', async (t) => {
  const first = await startDaemon(t);
  const { stateDirectory, runtimeDirectory, socketPath } = first;
  const values = new Map(
    Array.from({ length: CREDENTIALS }, (_, index) => [`name-${index}`, `value-${index}-`.repeat(9)]),
  );
  {
    await using client = await connect({ socket: socketPath });
    const credentials = Array.from(values, ([name, value]) => ({ name, value }));
    await client.call('Create', { credentials });
  }
  await first.stop();
  const file = path.join(stateDirectory, 'credentials.db');
  zeroPage(file, innerPage(file));
  let daemon = await startDaemon(t, { stateDirectory, runtimeDirectory });

  const folder = temporaryDirectory(t);
  for (const [name, command] of Object.entries({ cio: CIO_SOURCE, 'cio-credentiald': DAEMON_SOURCE })) {
    fs.writeFileSync(path.join(folder, name), `#!/bin/sh\nexec ${command.map(quoted).join(' ')} "$@"\n`, {
      mode: 0o755,
    });
  }
  const env = {
    ...plainEnvironment(),
    PATH: `${folder}:/usr/bin:/bin`,
    CIO_STATE_DIR: stateDirectory,
    CIO_CREDENTIAL_SOCKET: socketPath,
  };
  let cwd = '/';
  const type = async (lines: string): Promise<Finished> => {
    const here = lines.replaceAll(STATE, stateDirectory).replaceAll('/root/', `${folder}/`);
    const finished = await run(['/bin/sh', '-ec', `${here}\npwd > ${folder}/cwd`], { env, cwd });
    if (finished.code === 0) cwd = fs.readFileSync(`${folder}/cwd`, 'utf8').trim();
    return finished;
  };

  const before = await type('cio credential fsck');
  assert.equal(before.code, EXIT.damaged);
  assert.match(before.stderr, /--salvage recovers what is on the others: docs\/disaster-recovery\.md\n/);
  const refused = await type('cio credential fsck --repair --yes');
  assert.equal(refused.code, EXIT.damaged);
  assert.match(refused.stderr, /Hint: cio credential fsck /);

  for (const part of recipe()) {
    if (part.startsWith('systemctl stop')) await daemon.stop();
    else if (part.startsWith('systemctl start')) daemon = await startDaemon(t, { stateDirectory, runtimeDirectory });
    else {
      const { code, stderr, stdout } = await type(part);
      assert.equal(code, part.endsWith('cio credential fsck\n') ? EXIT.damaged : EXIT.done, `${part}${stderr}`);
      if (code === EXIT.damaged) assert.match(stdout.toString(), /name-\d+/);
    }
  }
  assert.equal((await type('cio credential fsck')).code, EXIT.done);
  assert.ok(fs.existsSync(`${folder}/credentials.db`));

  await using client = await connect({ socket: socketPath });
  let right = 0;
  for await (const { credentials } of client.stream('List', {})) {
    for (const { name } of credentials) {
      assert.equal((await client.call('Get', { name })).value, values.get(name), name);
      right += 1;
    }
  }
  // Some records were on the damaged page itself.
  assert.ok(right < CREDENTIALS && right > CREDENTIALS - 20, `${right}`);
  await daemon.stop();
});
