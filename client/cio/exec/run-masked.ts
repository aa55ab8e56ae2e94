import { closeSync, existsSync, writeSync } from 'node:fs';
import { ReadStream } from 'node:tty';
import { STDERR, STDIN, STDOUT, writeAll } from '../file-descriptors.ts';
import { ALL_ENDING_SIGNALS, ENDING_SIGNALS, onEnding } from '../on-ending.ts';
import type { Environment } from '../process-image.ts';
import { isTerminal } from '../terminal.ts';
import { Masker } from './masker.ts';
import { copyModes, copySize, isInForeground, makeRaw, makesSignals, openPseudoTerminal } from './pseudo-terminal.ts';
import { runChild, type ChildExit } from './run-child.ts';
import { secretPatternsOf } from './secret-patterns.ts';

/** Gives a command a session with a terminal of its own (util-linux). */
const SETSID = '/usr/bin/setsid';

/** The command's, which is told of them: they do not end us. */
const COMMAND_SIGNALS: readonly NodeJS.Signals[] = [...ENDING_SIGNALS, 'SIGUSR1', 'SIGUSR2'];
const OWN_SIGNALS = ALL_ENDING_SIGNALS.filter((signal) => !COMMAND_SIGNALS.includes(signal));

/** Ctrl-C, as a terminal has it whose keys were not changed. */
const INTERRUPT = 0x03;

/** How long the begin of what may be a secret waits for its end, in milliseconds: less than people notice. */
const HOLD_MS = 50;

/**
 * What a command that has ended left behind in the terminal comes at once; what it left running may hold it open. Counted, as a
 * slow terminal may take its time for each piece: Linux keeps 68 KiB, and gives 4 at a time.
 */
const DRAIN_ROUNDS = 40;
const DRAIN_ROUND_MS = 5;

/** Of keys that a terminal has no room for, the next try comes after some milliseconds. */
const KEYS_RETRY_MS = 5;

/**
 * Runs a command whose output to this terminal goes through here, and has its secrets masked. It still sees a terminal: a
 * second one, with the size of ours. Where its input, too, is ours, this second one is all that it has, with its keys;
 * else it stays on ours, and only what it writes takes the detour. What is no terminal is left alone.
 *
 * @param secrets may become more while it runs
 * @param onInterrupt is called where Ctrl-C was typed to interrupt it, of which the command's own terminal tells nobody but it
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
  // Whatever comes before the command runs is told to it then; what comes behind it must not leave the terminal as it is now.
  const stay = (): void => undefined;
  for (const signal of COMMAND_SIGNALS) process.on(signal, stay);
  const restore = ownsKeys ? makeRaw(STDIN) : (): void => undefined;
  process.on('exit', restore);
  using _ending = onEnding(restore, OWN_SIGNALS);
  const output = showMasked(master, screen, secrets);
  const stopTyping = ownsKeys ? passKeysTo(master, onInterrupt) : (): void => undefined;
  let pid = 0;
  const onResize = (): void => {
    copySize(screen, master);
    // Its own terminal tells the command; ours told it before the size was right.
    if (!ownsKeys && pid !== 0) tellResized(pid);
  };
  process.on('SIGWINCH', onResize);
  // A shell that has stopped us takes the terminal back to its own modes: what is typed would be shown, were it a passphrase.
  const onContinue = (): void => {
    if (ownsKeys && isInForeground(STDIN)) makeRaw(STDIN);
  };
  process.on('SIGCONT', onContinue);
  try {
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
    // Held open as long as the command runs: the terminal of one that closes its own would hang up, and end it.
    const exit = await running.finally(() => closeSync(slave));
    pid = 0;
    await output.drain();
    return exit;
  } finally {
    process.off('SIGWINCH', onResize);
    process.off('SIGCONT', onContinue);
    stopTyping();
    output.close();
    restore();
    process.off('exit', restore);
    for (const signal of COMMAND_SIGNALS) process.off(signal, stay);
  }
}

function tellResized(pid: number): void {
  try {
    process.kill(pid, 'SIGWINCH');
  } catch {
    // It has ended, and we are about to hear of it.
  }
}

interface MaskedOutput {
  /** Resolves once all that was written is shown. */
  drain(): Promise<void>;
  close(): void;
}

/** Shows on a terminal what comes out of another one. */
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
      // The terminal has hung up. The command will be told so by the kernel, and ends as it likes.
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
    // This process may have been stopped in between: what has come by then is read first.
    if (masker.isHolding) timer = setTimeout(() => (late = setImmediate(flush)), HOLD_MS);
  });
  // EIO: nobody has the other end any more.
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
    close() {
      stopWaiting();
      stream.destroy();
    },
  };
}

/** Types on a terminal what is typed on ours. */
function passKeysTo(master: number, onInterrupt: () => void): () => void {
  const { stdin } = process;
  let keys: Buffer = Buffer.alloc(0);
  let timer: NodeJS.Timeout | undefined;
  const type = (): void => {
    timer = undefined;
    try {
      while (keys.length > 0) keys = keys.subarray(writeSync(master, keys));
    } catch (error) {
      // A command that reads no keys has no room for more; one that has gone needs none.
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
  return () => {
    clearTimeout(timer);
    stdin.off('data', onKeys).pause();
    stdin.unref();
  };
}
