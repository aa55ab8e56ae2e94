import { closeSync } from 'node:fs';
import { explain } from '../messages.ts';
import { endAs, runChild, type ChildExit } from '../exec/run-child.ts';
import type { Environment } from '../process-image.ts';
import type { Session } from '../session.ts';
import { ASK_AGAIN_MS, follow, passingReason } from '../watch/follow.ts';
import type { OnChange } from './action.ts';
import { SetFollower } from './set-follower.ts';

/** How long a set is left to settle: what changes it field by field has as many commits. */
const SETTLE_MS = 1000;

/** How long a command may take to end before it is killed; the time that Docker and others give. */
const GRACE_MS = 10_000;

/** What ends a command from outside; `run-child` passes it on. */
const ENDING = ['SIGTERM', 'SIGINT', 'SIGQUIT'] as const;

/** What is run, and what for. */
export interface RunOnChange {
  /** Name or UUID of the set. */
  readonly set: string;
  readonly owner: number | null;
  readonly action: OnChange;
  /** Reads the set. Called for each start of the command. */
  readonly prepare: () => Promise<PreparedRun>;
}

/** A command with the values of a set, as they were when it was prepared. */
export interface PreparedRun {
  readonly command: readonly string[];
  readonly environment: Environment;
  /** Descriptors of files in memory that the environment names; closed once the command has ended, or is not started. */
  readonly files: readonly number[];
  /** What is not to be seen on the terminal, and may become more; none where nothing is looked at. */
  readonly secrets: ReadonlySet<string>;
}

/**
 * Runs a command beside this process, and restarts it or sends it a signal when the set has changed and is complete.
 * Without the daemon, and while the set is not complete, it is left as it is.
 *
 * @returns the exit code of the command, once it ends by itself
 */
export async function runOnChange(session: Session, run: RunOnChange): Promise<number> {
  const supervisor = new Supervisor(session, run);
  return endAs(await supervisor.run());
}

class Supervisor {
  readonly #session: Session;
  readonly #run: RunOnChange;
  readonly #follower: SetFollower;
  /** Of the command that runs; undefined between two. */
  #pid: number | undefined;
  /** What the next start has in its environment, where the command was told to end for it. */
  #next: PreparedRun | undefined;
  #settling: NodeJS.Timeout | undefined;
  #isBusy = false;
  #isStale = false;
  /** It was told that a change waits until the daemon can be asked for it. */
  #isWaiting = false;

  constructor(session: Session, run: RunOnChange) {
    this.#session = session;
    this.#run = run;
    this.#follower = new SetFollower(run.set);
  }

  async run(): Promise<ChildExit> {
    // Heard before the set is read: what changes from then on is told.
    const { set, owner } = this.#run;
    const tellings = follow(this.#session, { patterns: [set], owner }, this.#events());
    const { value } = await tellings.next();
    this.#follower.hear(value.told);
    let next: PreparedRun | undefined = await this.#run.prepare();
    let exit: ChildExit = { code: null, signal: null };
    void this.#listen(tellings);
    for (const signal of ENDING) process.on(signal, this.#stay);
    while (next !== undefined) {
      exit = await start(next, (pid) => (this.#pid = pid), this.#stay);
      this.#pid = undefined;
      closeFiles(next);
      next = this.#next;
      this.#next = undefined;
    }
    for (const signal of ENDING) process.off(signal, this.#stay);
    clearTimeout(this.#settling);
    return exit;
  }

  /** Whoever ends the command means it: it is not started anew, though it was about to be. */
  readonly #stay = (): void => {
    if (this.#next !== undefined) closeFiles(this.#next);
    this.#next = undefined;
    clearTimeout(this.#settling);
  };

  async #listen(tellings: ReturnType<typeof follow>): Promise<void> {
    try {
      for await (const { told } of tellings) if (this.#follower.hear(told)) this.#settle();
    } catch (error) {
      const { message } = explain(error);
      this.#session.note(`The set is not watched any more, and the command goes on: ${message}`);
    }
  }

  #events(): Parameters<typeof follow>[2] {
    return {
      onLost: () => this.#session.note('The daemon cannot be reached, or is locked; the command goes on meanwhile.'),
      onBack: () => undefined,
    };
  }

  #settle(waitMs: number = SETTLE_MS): void {
    clearTimeout(this.#settling);
    this.#settling = setTimeout(() => {
      this.#settling = undefined;
      // What is missing again will be told when it is there.
      if (!this.#follower.isComplete) return;
      this.#isStale = true;
      void this.#react();
    }, waitMs);
  }

  /** One at a time; what changes meanwhile is reacted to afterwards. */
  async #react(): Promise<void> {
    if (this.#isBusy) return;
    this.#isBusy = true;
    try {
      while (this.#isStale) {
        this.#isStale = false;
        if (this.#run.action === 'restart') await this.#restart();
        else if (this.#pid !== undefined) process.kill(this.#pid, this.#run.action);
      }
      this.#isWaiting = false;
    } catch (error) {
      const { message } = explain(error);
      const isPassing = passingReason(error) !== undefined;
      if (!this.#isWaiting)
        this.#session.note(`The command is left as it is${isPassing ? ' for now' : ''}: ${message}`);
      this.#isWaiting = isPassing;
      // The change was told, and will not be told again: whoever tells was gone, or locked, when he was asked what it is.
      if (isPassing) this.#settle(ASK_AGAIN_MS);
      // Else it is incomplete again, or changed into something that no variable can hold: the next change tells.
    } finally {
      this.#isBusy = false;
    }
  }

  async #restart(): Promise<void> {
    // Read first: where that fails, the command goes on with what it has.
    const next = await this.#run.prepare();
    const pid = this.#pid;
    if (pid === undefined) {
      closeFiles(next);
      // Between two commands: the one that is about to start has what was read before.
      return this.#settle();
    }
    if (this.#next !== undefined) closeFiles(this.#next);
    this.#next = next;
    this.#session.note('The set has changed: the command is started anew.');
    process.kill(pid, 'SIGTERM');
    const killing = setTimeout(() => {
      if (this.#pid === pid) process.kill(pid, 'SIGKILL');
    }, GRACE_MS);
    killing.unref();
  }
}

async function start(
  { command, environment, secrets }: PreparedRun,
  onStarted: (pid: number) => void,
  onInterrupt: () => void,
): Promise<ChildExit> {
  if (secrets.size === 0) return runChild(command, environment, { stdio: 'inherit', onStarted });
  const { runMasked } = await import('../exec/run-masked.ts');
  return runMasked(command, environment, secrets, onStarted, onInterrupt);
}

function closeFiles({ files }: PreparedRun): void {
  for (const descriptor of files) closeSync(descriptor);
}
