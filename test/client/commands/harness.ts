import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { connect } from '../../../client/index.ts';
import { EXIT } from '../../../src/errors.ts';
import { cio, NODE_FLAGS, type CioOptions, type CioResult } from '../../support/cio.ts';
import { startDaemon, type Daemon } from '../../support/daemon.ts';
import type { Scope } from '../../support/scope.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { run } from '../../support/process.ts';
import { buildCio } from '../built-cio.ts';
import { quoted } from '../terminal.ts';

export const REPOSITORY = 's3:https://s3.amazonaws.com/backup-123';

/** Makes a bash write its standard output into a pipe without a reader. */
export const GONE = 'exec > >(:); wait $!';

/** Make a bash's standard error fail: on a pipe without a reader, and on a full disk. */
export const UNTOLD: readonly string[] = [GONE.replace('>', '2>'), 'exec 2> /dev/full'];

/** The built `cio`, and a real daemon that it talks to. */
export class Harness {
  /** The folder of the built `cio`. */
  readonly folder: string;
  /** The command that runs the built `cio`. */
  readonly built: readonly string[];
  readonly daemon: Daemon;

  private constructor(folder: string, daemon: Daemon) {
    this.folder = folder;
    this.built = [process.execPath, ...NODE_FLAGS, path.join(folder, 'cio.cjs')];
    this.daemon = daemon;
  }

  static async start(scope: Scope): Promise<Harness> {
    return new Harness(buildCio(scope), await startDaemon(scope));
  }

  /** An environment with just PATH and the daemon's socket. */
  get environment(): Record<string, string> {
    return { PATH: '/usr/bin:/bin', CIO_CREDENTIAL_SOCKET: this.daemon.socketPath };
  }

  /** Returns options that run `cio` as another user, from a copy that this user can reach. */
  asUser(scope: Scope, uid: number): Required<Pick<CioOptions, 'as' | 'command'>> {
    const folder = temporaryDirectory(scope);
    fs.chmodSync(folder, 0o755);
    const isProgram = (file: string): boolean => /\.(?:cjs|mjs)$/.test(file);
    for (const file of fs.readdirSync(this.folder).filter(isProgram)) {
      fs.copyFileSync(path.join(this.folder, file), path.join(folder, file));
    }
    const node = path.join(folder, 'node');
    fs.copyFileSync(process.execPath, node, fs.constants.COPYFILE_FICLONE);
    fs.chmodSync(node, 0o755);
    return { as: { uid, gid: uid }, command: [node, ...NODE_FLAGS, path.join(folder, 'cio.cjs')] };
  }

  /** Runs `cio credential WORDS`. */
  run(words: readonly string[], options: CioOptions = {}): Promise<CioResult> {
    return cio(['credential', ...words], { command: this.built, socketPath: this.daemon.socketPath, ...options });
  }

  /** Runs `cio credentials WORDS`, which prints Portworx's messages. */
  runPortworx(words: readonly string[], options: CioOptions = {}): Promise<CioResult> {
    return cio(['credentials', ...words], { command: this.built, socketPath: this.daemon.socketPath, ...options });
  }

  /** Like {@link Harness.run}, after a script in the same bash. Returns the exit code and standard output. */
  async runAfter(
    script: string,
    words: readonly string[],
  ): Promise<{ readonly code: number; readonly stdout: string }> {
    const line = [...this.built, 'credential', ...words].map(quoted).join(' ');
    const { code, stdout } = await run(['/bin/bash', '--norc', '-c', `${script}; ${line}`], { env: this.environment });
    return { code: code ?? -1, stdout: stdout.toString() };
  }

  /** Like {@link Harness.run}, but asserts success, and returns standard output. */
  async succeed(words: readonly string[], options: CioOptions = {}): Promise<string> {
    const { code, stdout, stderr } = await this.run(words, options);
    assert.equal(code, EXIT.done, `cio credential ${words.join(' ')}: ${stderr}${stdout}`);
    return stdout;
  }

  /** Like {@link Harness.succeed}, with `--json`. Returns the parsed document. */
  async json(words: readonly string[], options: CioOptions = {}): Promise<unknown> {
    return JSON.parse(await this.succeed([...words, '--json'], options));
  }

  /**
   * Like {@link Harness.run}, but asserts failure with this exit code and a message of one line, perhaps with a hint in
   * a second one. Returns standard error.
   */
  async fail(exit: number, words: readonly string[], options: CioOptions = {}): Promise<string> {
    const { code, signal, stdout, stderr } = await this.run(words, options);
    assert.deepEqual([code, signal], [exit, null], `cio credential ${words.join(' ')}: ${stderr}${stdout}`);
    assert.match(stderr, /^Failed: [^\n]+\n(Hint: [^\n]+\n)?$/);
    assert.equal(stdout, '');
    return stderr;
  }

  /** Stores a value through the client, for tests of other commands. Returns its name, which is new unless given. */
  async store(value: string | Uint8Array, name: string = newName()): Promise<string> {
    await using client = await connect({ socket: this.daemon.socketPath });
    const data = Buffer.from(value as Uint8Array).toString('base64');
    await client.call('Create', { credentials: [{ name, data }], replace: true });
    return name;
  }

  /** Stores the four credentials of a new set, and returns the set's name. */
  async storeSet(values: Readonly<Record<string, string>> = {}): Promise<string> {
    const set = newSetName();
    const fields = { backup_repo: REPOSITORY, access_key: 'AK', secret_key: 'SK', backup_password: 'PW', ...values };
    const credentials = Object.entries(fields).map(([field, value]) => ({ name: `cio_${set}_${field}`, value }));
    await using client = await connect({ socket: this.daemon.socketPath });
    await client.call('Create', { credentials });
    return set;
  }
}

/** Returns a name that no other test uses. */
export function newName(): string {
  return `name-${randomBytes(6).toString('hex')}`;
}

/** Returns the name of a set that no other test uses. */
export function newSetName(): string {
  return `s3_${randomBytes(6).toString('hex')}`;
}
