import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { Finished } from '../../support/process.ts';
import { plainEnvironment, run, Service, signalIfThere, until } from '../../support/process.ts';
import type { Scope } from '../../support/scope.ts';
import { machineCgroups, removeCgroup } from './cgroups.ts';

const REPOSITORY = path.join(import.meta.dirname, '..', '..', '..');
const BOOT_SCRIPT = path.join(import.meta.dirname, 'boot.sh');
const BOOT_TIMEOUT_MS = 90_000;

/** How long to wait before looking again for the first process of a machine that is being stopped. */
const CHILD_PAUSE_MS = 10;

/**
 * The command that runs another as the first process of new namespaces. The namespaces end with that process, and the
 * process ends with this one.
 */
export const IN_NAMESPACES: readonly [string, ...string[]] = [
  'unshare',
  '--mount',
  '--propagation=private',
  '--pid',
  '--fork',
  '--kill-child',
  '--mount-proc',
];

/**
 * Options for installing, upgrading or removing a package, which writes thousands of files and is slow on busy hosts.
 */
export const PACKAGE_WORK: RunOptions = { timeoutMs: 115_000 };

export interface RunOptions {
  /** The user to run as, root by default. The user gets the groups that the machine's user database lists. */
  readonly user?: string;
  readonly input?: string | Uint8Array;
  /** Added to a plain environment. */
  readonly env?: Readonly<Record<string, string>>;
  readonly timeoutMs?: number;
}

/** A journal entry, with the fields that the tests read (systemd.journal-fields(7)). */
export interface JournalEntry {
  readonly MESSAGE: string;
  readonly PRIORITY: string;
}

/** A booted systemd on a copy of a root. Nothing of the copy is kept. */
export class Machine {
  readonly #service: Service;
  readonly #cgroups: readonly string[];
  #init = 0;

  private constructor(service: Service, cgroups: readonly string[]) {
    this.#service = service;
    this.#cgroups = cgroups;
  }

  /**
   * Boots a machine, which takes about a second. It is stopped when the scope ends.
   *
   * @param root the directory to copy: this host's root, or that of another release
   */
  static async boot(scope: Scope, root: string): Promise<Machine> {
    const name = `cio-host-${process.pid}`;
    const cgroups = machineCgroups(name);
    const command = [...IN_NAMESPACES, 'sh', BOOT_SCRIPT, name, root, REPOSITORY, ...cgroups];
    let machine: Machine | undefined;
    scope.after(() => machine?.stop());
    const started = new Machine(new Service(scope, command), cgroups);
    machine = started;
    await started.until(async () => (await started.#isReady()) || undefined, BOOT_TIMEOUT_MS);
    return started;
  }

  /** The output of the machine's console. */
  get console(): string {
    return this.#service.output;
  }

  /** Runs a command in the machine and waits for it to end, successfully or not. */
  run(command: readonly string[], options: RunOptions = {}): Promise<Finished> {
    const { user, input, env, timeoutMs } = options;
    const become = user === undefined ? [] : ['setpriv', `--reuid=${user}`, `--regid=${user}`, '--init-groups', '--'];
    return run(['nsenter', '--target', String(this.#init), '--all', '--', ...become, ...command], {
      cwd: '/',
      env: { ...plainEnvironment(), ...env },
      ...(input === undefined ? {} : { input }),
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
    });
  }

  /** Runs a command that must succeed; returns its standard output. */
  async succeed(command: readonly string[], options: RunOptions = {}): Promise<string> {
    const { code, signal, stdout, stderr } = await this.run(command, options);
    if (code !== 0) throw new Error(`${command.join(' ')} ended with ${code ?? signal}: ${stderr}${stdout.toString()}`);
    return stdout.toString();
  }

  /** Runs a shell script, with arguments, that must succeed; returns its standard output. */
  shell(script: string, ...args: readonly string[]): Promise<string> {
    return this.succeed(['sh', '-euc', script, 'sh', ...args]);
  }

  /** Repeats an attempt until it returns a value. */
  until<Value>(attempt: () => Promise<Value | undefined>, timeoutMs?: number): Promise<Value> {
    return until(this.#service, attempt, timeoutMs);
  }

  /** Writes a file, and creates its parent folders. */
  async writeFile(file: string, content: string | Uint8Array, mode = '0644'): Promise<void> {
    const script = 'mkdir -p "$(dirname "$1")"; rm -f "$1"; umask 077; cat > "$1"; chmod "$2" "$1"';
    await this.succeed(['sh', '-euc', script, 'sh', file, mode], { input: content });
  }

  async readFile(file: string): Promise<Buffer> {
    const { code, stdout, stderr } = await this.run(['cat', file]);
    if (code !== 0) throw new Error(`${file} cannot be read: ${stderr}`);
    return stdout;
  }

  async exists(file: string): Promise<boolean> {
    return (await this.run(['test', '-e', file])).code === 0;
  }

  /** Properties of a unit (systemctl(1), `show`). */
  async show<Name extends string>(unit: string, ...names: readonly Name[]): Promise<Record<Name, string>> {
    const text = await this.succeed(['systemctl', 'show', `--property=${names.join(',')}`, '--', unit]);
    const pairs = text.split('\n').map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]);
    const found = Object.fromEntries(pairs) as Record<string, string>;
    return Object.fromEntries(names.map((name) => [name, found[name] ?? ''])) as Record<Name, string>;
  }

  /** All journal entries of a unit: its own, and systemd's about it. */
  async journal(unit: string): Promise<JournalEntry[]> {
    await this.succeed(['journalctl', '--sync']);
    const text = await this.succeed(['journalctl', '--unit', unit, '--output=json', '--no-pager']);
    return text
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as JournalEntry);
  }

  /** Stops the machine at once, with all processes in it. */
  async stop(): Promise<void> {
    while (this.#service.exit === undefined) {
      // The first process of a pid namespace ends only when all others in it are gone.
      for (const pid of childrenOf(this.#service.pid)) signalIfThere(pid, 'SIGKILL');
      // The process may not exist yet, or the kernel may leave it out of the list while it runs (proc(5)).
      await Promise.race([this.#service.exited, pause(CHILD_PAUSE_MS)]);
    }
    for (const cgroup of this.#cgroups) removeCgroup(cgroup);
  }

  async #isReady(): Promise<boolean> {
    const [nspawn] = childrenOf(this.#service.pid);
    // Before that, there are only the script's own commands and nspawn's helpers, in which the host's systemd may
    // answer.
    const init = nspawn === undefined ? undefined : childrenOf(nspawn).find(isFirstInNamespace);
    if (init === undefined) return false;
    this.#init = init;
    const { stdout } = await this.run(['systemctl', 'is-system-running']);
    // `degraded` means that some unit has failed: one of the root's own units, which the tests do not use.
    return ['running', 'degraded'].includes(stdout.toString().trim());
  }
}

/** Returns the child processes of a process; none if it has ended. */
function childrenOf(pid: number): number[] {
  return readProcess(pid, `task/${pid}/children`).split(' ').filter(Boolean).map(Number);
}

/** Tells whether a process is the first one of its own pid namespace (proc_pid_status(5), `NSpid`). */
function isFirstInNamespace(pid: number): boolean {
  return /^NSpid:.*\t1$/m.test(readProcess(pid, 'status'));
}

/** Reads a file of a process in /proc. Returns an empty text if the process has ended, even during the read. */
function readProcess(pid: number, file: string): string {
  try {
    return fs.readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch (error) {
    if (!['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
    return '';
  }
}
