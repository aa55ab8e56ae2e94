import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { OPERATOR } from './callers.ts';
import { cioSucceeds, grant, save } from './support/cio.ts';
import { Consumer, LOAD_ENCRYPTED_SOCKET, LOAD_SOCKET } from './support/consumer.ts';
import type { Machine, RunOptions } from './support/machine.ts';

const PEER_SCRIPT = fs.readFileSync(path.join(import.meta.dirname, 'support', 'load-peer.py'));

/** systemd's CREDENTIAL_SIZE_MAX, which counts the value and the name together. */
const CREDENTIAL_BYTES_MAX = 1024 * 1024;

/** A refusal on the plain socket: one byte more than systemd accepts. */
const REFUSAL = new Uint8Array(CREDENTIAL_BYTES_MAX + 1);
/** A refusal on the encrypted socket: one byte more than systemd reads. */
const SEALED_REFUSAL = new Uint8Array(CREDENTIAL_BYTES_MAX + 128 * 1024 + 1);
/**
 * Mode and owner of a credential file as the unit sees it, then the unit's uid. The file is owned by that user. On a
 * file system with ACLs (tmpfs, which newer versions of systemd use) it is owned by root, with an ACL entry for the
 * user, and the mode shows the mask of the ACL.
 */
const OF_UNIT_ALONE = /^(?:400 (\d+):\d+\n\1|440 0:0\n\d+)\n$/;

/** systemd.exec(5). */
const EXIT_CREDENTIALS = 243;

/** What units get from the LOAD sockets, and when they get nothing. */
export function load(machine: Machine): void {
  /** Binary data that ends in bytes which programs tend to cut off. */
  const value = Buffer.concat([randomBytes(64), Buffer.from('\0\r\n\n')]);

  test('LoadCredential= gives a unit with a dynamic user the exact bytes, in a file that only the unit can read', async () => {
    await save(machine, 'host.value', value);
    await grant(machine, 'host.value', '--unit', 'granted.service');
    const consumer = await Consumer.make(machine, 'granted.service', { loads: ['host.value'] });
    await consumer.assertGets(value);
    await grant(machine, 'host.value', '--unit', 'modes.service');
    const load = `--property=LoadCredential=host.value:${LOAD_SOCKET}`;
    const script = 'stat --format=%a\\ %u:%g "$CREDENTIALS_DIRECTORY/host.value"; id --user';
    const unit = ['systemd-run', '--quiet', '--pipe', '--wait', '--collect', '--unit=modes.service', load];
    assert.match(await machine.succeed([...unit, '--property=DynamicUser=yes', 'sh', '-c', script]), OF_UNIT_ALONE);
  });

  test('a unit gets two credentials from one socket', async () => {
    await save(machine, 'host.second', 'second');
    for (const name of ['host.second', 'host.value']) await grant(machine, name, '--unit', 'two.service');
    // ExecStartPre= checks the one value alone, since the output has both without a separator.
    const lines = [`ExecStartPre=/bin/sh -c 'test "$$(cat "$$CREDENTIALS_DIRECTORY/host.second")" = second'`];
    const consumer = await Consumer.make(machine, 'two.service', { loads: ['host.value', 'host.second'], lines });
    await consumer.assertGets(Buffer.concat([Buffer.from('second'), value]));
  });

  test('a grant to a template covers its instances, and a grant to one instance no other', async () => {
    await grant(machine, 'host.value', '--unit', 'template@.service');
    const options = { loads: ['host.value'], file: 'template@.service' };
    await (await Consumer.make(machine, 'template@home.service', options)).assertGets(value);
    await grant(machine, 'host.value', '--unit', 'instance@home.service');
    const other = { loads: ['host.value'], file: 'instance@.service' };
    await (await Consumer.make(machine, 'instance@home.service', other)).assertGets(value);
    await (await Consumer.make(machine, 'instance@away.service', other)).assertRefused();
  });

  test('a unit without a grant fails with 243/CREDENTIALS, as it does for an unknown name', async () => {
    await (await Consumer.make(machine, 'stranger.service', { loads: ['host.value'] })).assertRefused();
    await (await Consumer.make(machine, 'unknown.service', { loads: ['host.unknown'] })).assertRefused();
    await grant(machine, 'aws', '--unit', 'missing.service');
    await (await Consumer.make(machine, 'missing.service', { loads: ['cio_aws_session_token'] })).assertRefused();
  });

  test('a unit no longer gets a credential once the grant is revoked', async () => {
    await grant(machine, 'host.value', '--unit', 'revoked.service');
    const consumer = await Consumer.make(machine, 'revoked.service', { loads: ['host.value'] });
    await consumer.assertGets(value);
    await cioSucceeds(machine, ['revoke', 'host.value', '--unit', 'revoked.service']);
    await consumer.assertRefused();
  });

  test('units that start at the same time each get their own credential', async () => {
    const consumers = [];
    for (let index = 0; index < 6; index++) {
      await save(machine, `host.many${index}`, `value ${index}`);
      await grant(machine, `host.many${index}`, '--unit', `many${index}.service`);
      consumers.push(await Consumer.make(machine, `many${index}.service`, { loads: [`host.many${index}`] }));
    }
    await Promise.all(consumers.map((consumer) => consumer.begin()));
    for (const [index, consumer] of consumers.entries()) {
      await consumer.assertGot(await consumer.end(), `value ${index}`);
    }
  });

  test('a process that binds the address of a granted unit is refused, even as root, inside and outside of units', async () => {
    const address = '0123456789abcdef/unit/granted.service/host.value';
    const connect = (args: readonly string[], options: RunOptions = {}): ReturnType<Machine['run']> =>
      machine.run(['python3', '-', ...args], { input: PEER_SCRIPT, ...options });
    for (const args of [[LOAD_SOCKET, address], [LOAD_SOCKET]]) {
      const { code, stdout } = await connect(args);
      assert.equal(code, 0);
      assert.ok(stdout.equals(REFUSAL), `${stdout.length} bytes`);
    }
    const inUnit = ['systemd-run', '--quiet', '--pipe', '--wait', '--unit=granted-not.service'];
    const { stdout } = await machine.run([...inUnit, 'python3', '-', LOAD_SOCKET, address], { input: PEER_SCRIPT });
    assert.ok(stdout.equals(REFUSAL), `${stdout.length} bytes`);
    const sealed = await connect([LOAD_ENCRYPTED_SOCKET, address]);
    assert.ok(sealed.stdout.equals(SEALED_REFUSAL), `${sealed.stdout.length} bytes`);
    for (const socket of [LOAD_SOCKET, LOAD_ENCRYPTED_SOCKET]) {
      const { code, stderr } = await connect([socket, address], { user: OPERATOR });
      assert.notEqual(code, 0, 'an administrator who is not root has no business here');
      assert.match(stderr, /PermissionError/);
    }
  });

  test('a unit that uses the wrong one of the two sockets fails, and gets no sealed value in place of a secret', async () => {
    await grant(machine, 'host.value', '--unit', 'wrong-socket.service');
    for (const [directive, socket] of [
      ['LoadCredential', LOAD_ENCRYPTED_SOCKET],
      ['LoadCredentialEncrypted', LOAD_SOCKET],
    ]) {
      const load = `${directive}=host.value:${socket}`;
      const unit = ['systemd-run', '--quiet', '--wait', '--collect', '--unit=wrong-socket.service', '--property', load];
      const { code, stderr } = await machine.run([...unit, 'true']);
      assert.equal(code, EXIT_CREDENTIALS, `${load}: ${stderr}`);
    }
  });

  test('a locked store refuses every unit', async () => {
    const consumer = await Consumer.make(machine, 'granted.service', { loads: ['host.value'] });
    await cioSucceeds(machine, ['lock']);
    try {
      await consumer.assertRefused();
    } finally {
      await cioSucceeds(machine, ['unlock']);
    }
    await consumer.assertGets(value);
  });

  test('the largest value that systemd accepts arrives, and one more byte fails the unit', async () => {
    for (const [name, bytes] of [
      ['host.largest', CREDENTIAL_BYTES_MAX - 'host.largest'.length],
      ['host.toolarge', CREDENTIAL_BYTES_MAX - 'host.toolarge'.length + 1],
    ] as const) {
      const large = randomBytes(bytes);
      await save(machine, name, large);
      await grant(machine, name, '--unit', `${name}.service`);
      const consumer = await Consumer.make(machine, `${name}.service`, { loads: [name] });
      if (name === 'host.largest') await consumer.assertGets(large);
      else await consumer.assertRefused();
    }
  });

  test('LoadCredentialEncrypted= gives the value, and refuses under the same conditions as the plain socket', async () => {
    const lines = [`LoadCredentialEncrypted=host.value:${LOAD_ENCRYPTED_SOCKET}`];
    await (await Consumer.make(machine, 'granted.service', { lines })).assertGets(value);
    await (await Consumer.make(machine, 'stranger.service', { lines })).assertRefused();
    const unknown = [`LoadCredentialEncrypted=host.unknown:${LOAD_ENCRYPTED_SOCKET}`];
    await (await Consumer.make(machine, 'granted.service', { lines: unknown })).assertRefused();
  });

  test('a value of hundreds of KiB arrives through LoadCredentialEncrypted=', async () => {
    const large = randomBytes(700_000);
    await save(machine, 'host.sealed', large);
    await grant(machine, 'host.sealed', '--unit', 'sealed.service');
    const lines = [`LoadCredentialEncrypted=host.sealed:${LOAD_ENCRYPTED_SOCKET}`];
    await (await Consumer.make(machine, 'sealed.service', { lines })).assertGets(large);
  });
}
