import { closeSync, existsSync, writeSync } from 'node:fs';
import { ReadStream } from 'node:tty';
import { STDERR, STDIN, STDOUT, writeAll } from '../file-descriptors.ts';
import { ALL_TERMINATION_SIGNALS, TERMINATION_SIGNALS, onTermination } from '../on-termination.ts';
import type { Environment } from '../process-image.ts';
import { isTerminal } from '../terminal.ts';
import { Masker } from './masker.ts';
import { copyModes, copySize, isInForeground, makeRaw, makesSignals, openPseudoTerminal } from './pseudo-terminal.ts';
import { runChild, type ChildExit } from './run-child.ts';
import { secretPatternsOf } from './secret-patterns.ts';

/** Runs a command in a new session with a controlling terminal of its own (util-linux). */
const SETSID = '/usr/bin/setsid';

/** Signals that are passed on to the command, and do not end this process; the others end it. */
const COMMAND_SIGNALS: readonly NodeJS.Signals[] = [...TERMINATION_SIGNALS, 'SIGUSR1', 'SIGUSR2'];
const OWN_SIGNALS = ALL_TERMINATION_SIGNALS.filter((signal) => !COMMAND_SIGNALS.includes(signal));

/** Ctrl-C, the default interrupt key of a terminal. */
const INTERRUPT = 0x03;

/** How long the beginning of a possible secret is held back for its end, in milliseconds: too short to notice. */
const HOLD_MS = 50;

/**
 * How long to read what a command that has ended left in the pseudoterminal: its remaining children may hold that open.
 * The limit is a count of rounds, as a slow terminal may take long for each piece: Linux buffers 68 KiB, and delivers 4
 * KiB at a time.
 */
const DRAIN_ROUNDS = 40;
const DRAIN_ROUND_MS = 5;

/** Wait before keys that the pseudoterminal had no room for are written again, in milliseconds. */
const KEYS_RETRY_MS = 5;

/**
 * Runs a command, and masks secrets in what it writes to this terminal. The command still sees a terminal: a
 * pseudoterminal with the size of this one. If its input is this terminal too, the pseudoterminal becomes its
 * controlling terminal, with all keys; else it stays on this terminal, and only its output goes through the
 * pseudoterminal. Streams that are not terminals are passed on as they are.
 *
 * @param secrets may grow while the command runs
 * @param onInterrupt called when Ctrl-C was typed to interrupt the command; its own terminal signals only the command
 */
export async function runMasked(
  command: readonly string[],
  environment: Environment,
  secrets: ReadonlySet<string>,
  onStarted: (pid: number) => void = () => undefined,
  onInterrupt: () => void = () => undefined,
): Promise<ChildExit> {
  const { master, slave } = openPseudoTerminal();
  const screen = isTerminal(STDOUT) ? STDOUT : STDERR;
  const ownsKeys = screen === STDOUT && isTerminal(STDIN) && isInForeground(STDIN) && existsSync(SETSID);
  copySize(screen, master);
  if (ownsKeys) copyModes(STDIN, slave);
  else makeRaw(slave);
  // A signal that comes before the command runs is passed on to it then. One that comes after it has ended must not end
  // this process before the terminal's modes are restored.
  using _signals = listen(COMMAND_SIGNALS, () => undefined);
  using _rawMode = ownsKeys ? keepInRawMode() : undefined;
  using output = showMasked(master, screen, secrets);
  using _keys = ownsKeys ? passKeysTo(master, onInterrupt) : undefined;
  let pid = 0;
  using _size = listen(['SIGWINCH'], () => {
    copySize(screen, master);
    // As the command's controlling terminal, the pseudoterminal signals this itself. Else the command was signalled by
    // this terminal, while the pseudoterminal still had the old size.
    if (!ownsKeys && pid !== 0) signalResize(pid);
  });
  const end = (descriptor: number): number | 'inherit' => (isTerminal(descriptor) ? slave : 'inherit');
  const words = ownsKeys ? [SETSID, '--ctty', '--', ...command] : command;
  const running = runChild(words, environment, {
    stdio: [ownsKeys ? slave : 'inherit', end(STDOUT), end(STDERR)],
    hasOwnTerminal: ownsKeys,
    onStarted(started) {
      pid = started;
      onStarted(started);
    },
  });
  // The slave stays open while the command runs: if the command closed its own, the terminal would hang up and end it.
  const exit = await running.finally(() => closeSync(slave));
  pid = 0;
  await output.drain();
  return exit;
}

/** Calls a function on events of this process, until disposed. */
function listen(events: readonly (NodeJS.Signals | 'exit')[], listener: () => void): Disposable {
  for (const event of events) process.on(event, listener);
  return {
    [Symbol.dispose]() {
      for (const event of events) process.off(event, listener);
    },
  };
}

/** Keeps this terminal in raw mode, until disposed or the end of this process. */
function keepInRawMode(): Disposable {
  const restore = makeRaw(STDIN);
  const listeners = [
    listen(['exit'], restore),
    onTermination(restore, OWN_SIGNALS),
    // When this process was stopped, the shell restored its own modes, and the terminal would echo even a passphrase.
    listen(['SIGCONT'], () => {
      if (isInForeground(STDIN)) makeRaw(STDIN);
    }),
  ];
  return {
    [Symbol.dispose]() {
      restore();
      for (const listener of listeners) listener[Symbol.dispose]();
    },
  };
}

function signalResize(pid: number): void {
  try {
    process.kill(pid, 'SIGWINCH');
  } catch {
    // The command has ended, and its exit event is about to come.
  }
}

interface MaskedOutput extends Disposable {
  /** Resolves when all output is shown. */
  drain(): Promise<void>;
}

/** Shows the output of a pseudoterminal on a terminal, with secrets masked, until disposed. */
function showMasked(master: number, screen: number, secrets: ReadonlySet<string>): MaskedOutput {
  let known = secrets.size;
  let masker = new Masker(secretPatternsOf(secrets));
  const stream = new ReadStream(master);
  const ended = Promise.withResolvers<void>();
  let timer: NodeJS.Timeout | undefined;
  let late: NodeJS.Immediate | undefined;
  let isGone = false;
  const show = (bytes: Uint8Array): void => {
    if (isGone || bytes.length === 0) return;
    try {
      writeAll(screen, bytes);
    } catch {
      // The terminal has hung up. The kernel tells the command, which ends as it likes.
      isGone = true;
    }
  };
  const flush = (): void => show(masker.flush());
  const stopWaiting = (): void => {
    clearTimeout(timer);
    clearImmediate(late);
  };
  stream.on('data', (bytes: Buffer) => {
    stopWaiting();
    if (secrets.size > known) {
      known = secrets.size;
      masker = new Masker(secretPatternsOf(secrets), masker);
    }
    show(masker.push(bytes));
    // This process may have been stopped meanwhile: the immediate lets output that has arrived be read first.
    if (masker.isHolding) timer = setTimeout(() => (late = setImmediate(flush)), HOLD_MS);
  });
  // EIO: no process has the other end open any more.
  stream.on('error', () => ended.resolve()).on('close', () => ended.resolve());
  return {
    async drain() {
      let rounds = DRAIN_ROUNDS;
      const counting = setInterval(() => {
        if ((rounds -= 1) === 0) ended.resolve();
      }, DRAIN_ROUND_MS);
      await ended.promise;
      clearInterval(counting);
      stopWaiting();
      flush();
    },
    [Symbol.dispose]() {
      stopWaiting();
      stream.destroy();
    },
  };
}

/** Passes the keys typed on this terminal to a pseudoterminal, until disposed. */
function passKeysTo(master: number, onInterrupt: () => void): Disposable {
  const { stdin } = process;
  let keys: Buffer = Buffer.alloc(0);
  let timer: NodeJS.Timeout | undefined;
  const type = (): void => {
    timer = undefined;
    try {
      while (keys.length > 0) keys = keys.subarray(writeSync(master, keys));
    } catch (error) {
      // EAGAIN: the command reads no keys, and there is no room for more. Else the command has gone, and needs none.
      if ((error as NodeJS.ErrnoException).code === 'EAGAIN') timer = setTimeout(type, KEYS_RETRY_MS);
      else keys = Buffer.alloc(0);
    }
  };
  const onKeys = (typed: Buffer): void => {
    if (typed.includes(INTERRUPT) && makesSignals(master)) onInterrupt();
    keys = Buffer.concat([keys, typed]);
    if (timer === undefined) type();
  };
  stdin
    .on('data', onKeys)
    .on('error', () => undefined)
    .resume();
  return {
    [Symbol.dispose]() {
      clearTimeout(timer);
      stdin.off('data', onKeys).pause();
      stdin.unref();
    },
  };
}
