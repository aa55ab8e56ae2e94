import { closeSync } from 'node:fs';
import { setImmediate as nextTurn, setTimeout as pause } from 'node:timers/promises';
import { explain } from '../messages.ts';
import { endAs, runChild, type ChildExit } from '../exec/run-child.ts';
import type { Environment } from '../process-image.ts';
import type { Session } from '../session.ts';
import { ASK_AGAIN_MS, follow, passingReason, type FollowListener } from '../watch/follow.ts';
import type { OnChange } from './action.ts';
import { SetFollower } from './set-follower.ts';

/** How long a set must stay unchanged before it is acted on: a change made field by field takes several commits. */
const SETTLE_MS = 1000;

/** How long a command may take to end before it is killed; Docker and others allow as much. */
const GRACE_MS = 10_000;

/** How long to wait for a signal that has ended the command too: Node may report the end of the command first. */
const SIGNAL_MS = 20;

/** The signals that end a command from outside; `run-child` passes them on. */
const ENDING = ['SIGTERM', 'SIGINT', 'SIGQUIT'] as const;

/** A command to run, and the set that it depends on. */
export interface RunOnChange {
  /** Name or UUID of the set. */
  readonly set: string;
  readonly owner: number | null;
  readonly action: OnChange;
  /** Reads the set. It is called for each start of the command. */
  readonly prepare: () => Promise<PreparedRun>;
}

/** A command with the values of the set at the time of its preparation. */
export interface PreparedRun {
  readonly command: readonly string[];
  readonly environment: Environment;
  /** Descriptors of memory files that the environment names; closed once the command has ended, or is not started. */
  readonly files: readonly number[];
  /** The secrets to mask in the output to a terminal; more may be added later. Empty if nothing is masked. */
  readonly secrets: ReadonlySet<string>;
}

/**
 * Runs a command as a child, and restarts it or sends it a signal when the set has changed and is complete. Without the
 * daemon, and while the set is incomplete, the command is left alone.
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
  /** Process id of the running command; undefined between two runs. */
  #pid: number | undefined;
  /** The next run, once the running command was told to end for a restart. */
  #next: PreparedRun | undefined;
  #settling: NodeJS.Timeout | undefined;
  #isBusy = false;
  #isStale = false;
  /** The user was told that a change has to wait until the daemon can be asked for it. */
  #isWaiting = false;

  constructor(session: Session, run: RunOnChange) {
    this.#session = session;
    this.#run = run;
    this.#follower = new SetFollower(run.set);
  }

  async run(): Promise<ChildExit> {
    // The watch begins before the set is read, so that no change in between is missed.
    const { set, owner } = this.#run;
    const batches = follow(this.#session, { patterns: [set], owner }, this.#listener());
    const { value } = await batches.next();
    this.#follower.apply(value.events);
    let next: PreparedRun | undefined = await this.#run.prepare();
    let exit: ChildExit = { code: null, signal: null };
    void this.#listen(batches);
    for (const signal of ENDING) process.on(signal, this.#stay);
    while (next !== undefined) {
      exit = await start(next, (pid) => (this.#pid = pid), this.#stay);
      this.#pid = undefined;
      closeFiles(next);
      if (this.#next !== undefined) await lateSignals();
      next = this.#next;
      this.#next = undefined;
    }
    for (const signal of ENDING) process.off(signal, this.#stay);
    clearTimeout(this.#settling);
    return exit;
  }

  /** Cancels a pending restart: a signal that ends the command from outside is meant to end it for good. */
  readonly #stay = (): void => {
    if (this.#next !== undefined) closeFiles(this.#next);
    this.#next = undefined;
    clearTimeout(this.#settling);
  };

  async #listen(batches: ReturnType<typeof follow>): Promise<void> {
    try {
      for await (const { events } of batches) if (this.#follower.apply(events)) this.#settle();
    } catch (error) {
      const { message } = explain(error);
      this.#session.note(`The set is no longer watched, but the command keeps running: ${message}`);
    }
  }

  #listener(): FollowListener {
    return {
      onLost: () => this.#session.note('The daemon cannot be reached, or is locked; the command keeps running.'),
      onBack: () => undefined,
    };
  }

  #settle(waitMs: number = SETTLE_MS): void {
    clearTimeout(this.#settling);
    this.#settling = setTimeout(() => {
      this.#settling = undefined;
      // If the set is incomplete again, the watch reports when it is complete.
      if (!this.#follower.isComplete) return;
      this.#isStale = true;
      void this.#react();
    }, waitMs);
  }

  /** Reacts to one change at a time; a change during a reaction is handled afterwards. */
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
      // The watch reported this change once and will not repeat it, so ask for the set again later.
      if (isPassing) this.#settle(ASK_AGAIN_MS);
      // Otherwise the set is incomplete again, or has a value that no variable can hold: wait for the next change.
    } finally {
      this.#isBusy = false;
    }
  }

  async #restart(): Promise<void> {
    // Read first: if that fails, the command keeps running with the values it has.
    const next = await this.#run.prepare();
    const pid = this.#pid;
    if (pid === undefined) {
      closeFiles(next);
      // Between two runs: the run that is about to start has older values. Try again once it has started.
      return this.#settle();
    }
    if (this.#next !== undefined) closeFiles(this.#next);
    this.#next = next;
    this.#session.note('The set has changed: the command is restarted.');
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

/** Resolves once this process has handled the signals that came with the end of the command. */
async function lateSignals(): Promise<void> {
  await pause(SIGNAL_MS);
  // A process that was stopped meanwhile runs its timers first, and then sees its signals.
  await nextTurn();
}

function closeFiles({ files }: PreparedRun): void {
  for (const descriptor of files) closeSync(descriptor);
}
