import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { connect as connectSocket } from 'node:net';
import { once } from 'node:events';
import { connect, CredentialError } from '../../../client/index.ts';
import { cio, CIO_LAUNCHER } from '../../support/cio.ts';
import type { CioResult } from '../../support/cio.ts';
import type { Canaries } from '../../support/canary.ts';
import type { Daemon } from '../../support/daemon.ts';

/** A recipient whose identity nobody has: what is encrypted for it is only searched, never decrypted. */
const RECIPIENT = 'age1lggyhqrw2nlhcxprm67z43rta597azn8gknawjehu9d9dl0jq3yqqvfafg';

/** The folders that are searched, and the user's own, which is not. */
export interface Places {
  readonly temporary: string;
  readonly written: string;
  readonly own: string;
}

export function makePlaces(directory: string): Places {
  const places = {
    temporary: path.join(directory, 'tmp'),
    written: path.join(directory, 'written'),
    own: path.join(directory, 'own'),
  };
  for (const place of Object.values(places)) mkdirSync(place, { mode: 0o700 });
  return places;
}

/** Passes secrets through everything that takes or gives one, and keeps all messages. */
export class User {
  /** The messages of commands, apart from their output. */
  readonly said: { readonly what: string; readonly text: string }[] = [];
  readonly #daemon: Daemon;
  readonly #places: Places;
  readonly #canaries: Canaries;
  commands = 0;

  constructor(daemon: Daemon, places: Places, canaries: Canaries) {
    this.#daemon = daemon;
    this.#places = places;
    this.#canaries = canaries;
  }

  /** @param code the required exit code */
  async run(args: readonly string[], stdin = '', code = 0, env: Record<string, string> = {}): Promise<CioResult> {
    const result = await cio(['credential', ...args], {
      command: CIO_LAUNCHER,
      socketPath: this.#daemon.socketPath,
      stdin,
      env: { TMPDIR: this.#places.temporary, ...env },
    });
    this.commands += 1;
    this.said.push({ what: `cio ${args.slice(0, 2).join(' ')}`, text: result.stderr });
    if (result.code !== code) throw new Error(`cio ${args[0]} ends with ${result.code}: ${result.stderr}`);
    return result;
  }

  /** Stores and reads in every way. */
  async storeAndRead(): Promise<void> {
    const { own, written } = this.#places;
    const canaries = this.#canaries;
    const file = (name: string, text: string): string => {
      const place = path.join(own, name);
      writeFileSync(place, text, { mode: 0o600 });
      return place;
    };
    const secret = canaries.plantWord('secret key');
    await this.run(['create', 'cio_leak_secret_key', '-'], secret);
    await this.run(['create', 'cio_leak_secret_key', '-'], secret, 4);
    await this.run(['create', 'cio_leak_secret_key', '-', '--replace'], canaries.plantWord('second secret key'));
    await this.run(['create', 'cio_leak_backup_password', '-'], canaries.plant('password'));
    await this.run(['create', 'cio_leak_secret_key', '-', '--replace'], `no ${canaries.plant('invalid value')}`, 8);
    await this.run(['create', 'blob', '--from-file', file('blob', canaries.plant('file'))]);
    const ini = `[default]\naws_access_key_id = AK\naws_secret_access_key = ${canaries.plantWord('imported')}\n`;
    await this.run(['import', file('credentials', ini), '--set', 'imported']);
    await this.run(['import', file('broken', `[default\n${canaries.plantWord('broken file')}`), '--set', 'x'], '', 8);
    const edited = file('edited', `secret_key: ${canaries.plantWord('edited')}\n`);
    const editor = path.join(own, 'retype');
    // The editor copies the secret from file to file, without any process's arguments, and requires that the edited
    // file is in memory.
    const inMemory = 'case "$(stat -f -c %T "$1")" in tmpfs | ramfs) ;; *) exit 1 ;; esac';
    writeFileSync(editor, `#!/bin/sh\n${inMemory}\nsed -i -e '/^secret_key:/{r ${edited}' -e 'd}' "$1"\n`, {
      mode: 0o755,
    });
    await this.run(['edit', 'leak'], '', 0, { EDITOR: editor });
    const docker = { ServerURL: 'https://r.example.org', Username: 'ann', Secret: canaries.plant('docker') };
    await this.run(['__docker-credential', '--', 'store'], JSON.stringify(docker));
    await this.run(['__docker-credential', '--', 'get'], docker.ServerURL);
    const git = `protocol=https\nhost=g.example.org\nusername=ann\n`;
    await this.run(['__git-credential', '--', 'store'], `${git}password=${canaries.plantWord('git')}\n\n`);
    await this.run(['__git-credential', '--', 'get'], `${git}\n`);
    canaries.add('generated', (await this.run(['generate', 'made', '--show'])).stdout.trim());
    await this.run(['get', 'cio_leak_secret_key']);
    await this.run(['get', 'leak', '-o', 'json']);
    await this.run(['get', 'cio_leak_secret_key', '--version', '1', '--json']);
    for (const words of [
      ['list'],
      ['list', '--output', 'wide'],
      ['list', '--json'],
      ['history', 'blob'],
      ['status', '--json'],
    ]) {
      const { stdout } = await this.run(words);
      this.said.push({ what: `cio ${words.join(' ')}, on standard output`, text: stdout });
    }
    await this.run(['rollback', 'cio_leak_secret_key']);
    await this.run(['export', '--to', path.join(written, 'export.age'), '--recipient', RECIPIENT]);
    await this.run(['backup', path.join(written, 'backup.db')]);
    await this.run(['restore', path.join(written, 'backup.db'), '--yes']);
    await this.run(['rekey']);
    await this.run(['fsck']);
    await this.run(['remove', 'blob', '--yes']);
  }

  /** Unlocks with right and wrong passphrases and codes. */
  async openAndClose(): Promise<void> {
    const passphrase = this.#canaries.plant('passphrase');
    await this.run(['slot', 'add', 'passphrase'], `${passphrase}\n`);
    const code = (await this.run(['slot', 'add', 'recovery'])).stdout.trim();
    this.#canaries.add('recovery code', code);
    await using client = await connect({ socket: this.#daemon.socketPath });
    for (const secret of [{ passphrase }, { recoveryCode: code }]) {
      await client.call('Lock', {});
      await client.call('Unlock', secret);
    }
    await client.call('Lock', {});
    await this.#refused(client.call('Unlock', { passphrase: this.#canaries.plant('wrong passphrase') }));
    await this.#refused(client.call('Unlock', { recoveryCode: this.#canaries.plant('wrong code') }));
    await client.call('Unlock', {});
  }

  /** Makes calls that no command makes: proofs that fail, and malformed messages. */
  async misspeak(): Promise<void> {
    await using client = await connect({ socket: this.#daemon.socketPath });
    const values = {
      provider: 's3',
      backup_repo: 's3:http://127.0.0.1:9/bucket',
      access_key: 'AK',
      secret_key: this.#canaries.plantWord('proved'),
      backup_password: this.#canaries.plant('proved password'),
    };
    const credentials = Object.entries(values).map(([field, value]) => ({ name: `cio_proved_${field}`, value }));
    const { failed } = await client.call('Prove', { credentials }, { timeoutMs: 120_000 });
    if (!failed) throw new Error('a server was found where there is none');
    await this.#refused(client.call('Get', { name: this.#canaries.plant('name') }));
    for (const text of [
      `{"method":"io.cio.Credentials.Get","parameters":{"name":"${this.#canaries.plantWord('malformed')}}`,
      JSON.stringify({ method: this.#canaries.plant('method'), parameters: {} }),
      JSON.stringify({ method: 'io.cio.Credentials.Get', parameters: { [this.#canaries.plantWord('field')]: 1 } }),
    ]) {
      const socket = connectSocket(this.#daemon.socketPath);
      socket.end(`${text}\0`);
      let reply = '';
      socket.setEncoding('utf8').on('data', (piece: string) => (reply += piece));
      await once(socket, 'close');
      this.said.push({ what: 'a reply to what is no call', text: reply });
    }
  }

  async #refused(call: Promise<unknown>): Promise<void> {
    const error: unknown = await call.then(
      () => undefined,
      (reason: unknown) => reason,
    );
    if (!(error instanceof CredentialError)) throw new Error(`it is not refused: ${String(error)}`);
    this.said.push({ what: `the error ${error.code}`, text: JSON.stringify(error.fields) });
  }
}
