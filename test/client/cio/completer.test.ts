import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { completeLine, type Answer } from '../../../client/cio/completer.ts';
import { COMMANDS } from '../../../client/cio/commands.ts';
import { connectBy } from '../../../client/connect.ts';
import { localUnits } from '../../../client/cio/local-units.ts';
import { openNetTransport } from '../../../client/net-transport.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { message, Peer } from '../peer.ts';

function complete(line: string, socket?: string): Promise<Answer> {
  const words = line.split(' ');
  return completeLine(words, words.length - 1, COMMANDS, () => {
    assert.ok(socket !== undefined, 'it asks the daemon');
    return connectBy(openNetTransport, { socket });
  });
}

async function words(line: string, socket?: string): Promise<readonly string[]> {
  const answer = await complete(line, socket);
  assert.ok(answer.kind === 'words', `${answer.kind} for ${line}`);
  return answer.words;
}

function listReply(names: readonly string[], sets: readonly string[], missing: readonly string[] = []): string {
  const numbers = { owner: 0, version: 1, generation: 1, changed: 1 };
  return message({
    parameters: {
      credentials: names.map((name) => ({ ...numbers, name, createdBy: 0, created: 1, size: 1, writable: true })),
      sets: sets.map((set) => ({
        ...numbers,
        set,
        uuid: 'u',
        ready: true,
        missing,
        fields: [],
        health: { state: 'unproved' },
      })),
      damaged: 0,
    },
  });
}

describe('completeLine()', () => {
  it('offers commands and their arguments without asking the daemon', async () => {
    assert.deepEqual(await words('cio '), ['credential']);
    assert.deepEqual(await words('cio cre'), ['credential']);
    assert.ok((await words('cio credential ')).includes('create'));
    assert.ok((await words('cio cred ')).includes('slot'));
    assert.deepEqual(await words('cio cred __'), []);
    assert.deepEqual(await words('cio cred docker'), []);
    assert.deepEqual(await words('cio cred re'), ['rekey', 'remove', 'restore', 'revoke']);
    assert.deepEqual(await words('cio cred slot '), ['add', 'list', 'remove']);
    assert.deepEqual(await words('cio cred slot add '), ['keyfile', 'passphrase', 'recovery', 'systemd']);
    assert.deepEqual(await words('cio cred completion '), ['bash', 'fish', 'zsh']);
  });

  it('offers the options of the command', async () => {
    assert.deepEqual(await words('cio cred create --re'), ['--replace']);
    assert.deepEqual(await words('cio cred lock --'), ['--help', '--json', '--socket']);
    assert.deepEqual(await words('cio --'), ['--help', '--json', '--socket']);
  });

  it('never offers hidden commands, nor anything for a free-form value', async () => {
    assert.deepEqual(await words('cio cred __'), []);
    assert.deepEqual(await words('cio cred create name '), []);
    assert.deepEqual(await words('cio cred get name '), []);
  });

  it('leaves files and the command of exec to the shell', async () => {
    assert.deepEqual(await complete('cio cred create x --from-file '), { kind: 'files' });
    assert.deepEqual(await complete('cio cred create x --from-file=/et'), { kind: 'files' });
    assert.deepEqual(await complete('cio --socket '), { kind: 'files' });
    assert.deepEqual(await complete('cio cred exec aws -- '), { kind: 'command', first: 5 });
    assert.deepEqual(await complete('cio cred exec aws -- restic ba'), { kind: 'command', first: 5 });
  });

  it("offers the host's users and groups", async () => {
    assert.ok((await words('cio cred list --owner ')).includes('root'));
    assert.ok((await words('cio cred grant x --group ro')).includes('root'));
    assert.ok((await words('cio cred grant x --group=ro')).includes('--group=root'));
  });

  it("offers the host's services and service templates, and no other units", (t) => {
    const [own, vendor] = [temporaryDirectory(t), temporaryDirectory(t)];
    for (const file of ['restic.service', 'restic@.service', 'x.timer']) fs.writeFileSync(path.join(own, file), '');
    fs.writeFileSync(path.join(vendor, 'restic.service'), '');
    assert.deepEqual(localUnits([own, vendor, '/nonexistent']).toSorted(), ['restic.service', 'restic@.service']);
  });

  it("offers the daemon's names and sets", async (t) => {
    const peer = await Peer.onCalls(t, (_call, socket) => {
      socket.write(listReply(['cio_aws_access_key', 'cio_aws_secret_key', 'other'], ['aws', 'minio']));
    });
    assert.deepEqual(await words('cio cred get cio_aws_a', peer.path), ['cio_aws_access_key']);
    assert.deepEqual(await words('cio cred exec ', peer.path), ['aws', 'minio']);
    assert.deepEqual(await words('cio cred rm o', peer.path), ['other']);
    assert.deepEqual(await words('cio cred rm other a', peer.path), ['aws']);
    assert.deepEqual(await words('cio --json cred --socket x get o', peer.path), ['other']);
  });

  it('offers the missing fields of sets, and providers, when creating', async (t) => {
    const peer = await Peer.onCalls(t, (_call, socket) => {
      socket.write(listReply(['cio_aws_access_key'], ['aws'], ['secret_key', 'x y', '$(x)']));
    });
    assert.deepEqual(await words('cio cred create a', peer.path), ['aws', 'azure']);
    assert.deepEqual(await words('cio cred create cio', peer.path), ['cio_aws_secret_key']);
    assert.deepEqual(await words('cio cred create g', '/nonexistent/socket'), ['google']);
  });

  it('passes only valid names on to the shell', async (t) => {
    const peer = await Peer.onCalls(t, (_call, socket) => {
      socket.write(listReply(['$(rm -rf /)', 'a b', 'A', '`x`', 'a;b', '../x', 'good'], ['$(x)', 'set a', 'good_set']));
    });
    assert.deepEqual(await words('cio cred rm ', peer.path), ['good', 'good_set']);
  });

  it("returns what came so far when the daemon's reply does not end", { timeout: 20_000 }, async (t) => {
    const reply = listReply(['good', 'no name'], []).replace('{', '{"continues":true,');
    const peer = await Peer.onCalls(t, (_call, socket) => {
      const timer = setInterval(() => socket.write(reply), 50);
      socket.on('close', () => clearInterval(timer));
    });
    assert.deepEqual(await words('cio cred rm ', peer.path), ['good']);
  });

  it('offers nothing where the daemon is absent, refuses or sends nonsense', async (t) => {
    assert.deepEqual(await words('cio cred get ', '/nonexistent/socket'), []);
    for (const answer of [message({ error: 'io.cio.Credentials.Locked', parameters: {} }), 'junk\0', '']) {
      const peer = await Peer.onCalls(t, (_call, socket) => socket.end(answer));
      assert.deepEqual(await words('cio cred get ', peer.path), []);
    }
  });
});
