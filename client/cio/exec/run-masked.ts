import { closeSync, existsSync, writeSync } from 'node:fs';
import { ReadStream } from 'node:tty';
import { STDERR, STDIN, STDOUT, writeAll } from '../file-descriptors.ts';
import { ENDING_SIGNALS } from '../on-ending.ts';
import type { Environment } from '../process-image.ts';
import { isTerminal } from '../terminal.ts';
import { Masker } from './masker.ts';
import { copyModes, copySize, isInForeground, makeRaw, openPseudoTerminal } from './pseudo-terminal.ts';
import { runChild, type ChildExit } from './run-child.ts';

/** Gives a command a session with a terminal of its own (util-linux). */
const SETSID = '/usr/bin/setsid';

/** How long the begin of what may be a secret waits for its end, in milliseconds: less than people notice. */
const HOLD_MS = 50;

/** What a command that has ended left behind in the terminal comes at once; what it left running may hold it open. */
const DRAIN_MS = 200;

/** Of keys that a terminal has no room for, the next try comes after some milliseconds. */
const KEYS_RETRY_MS = 5;

/**
 * Runs a command whose output to this terminal goes through here, and has its secrets masked. It still sees a terminal: a
 * second one, with the size of ours. Where its input, too, is ours, this second one is all that it has, with its keys;
 * else it stays on ours, and only what it writes takes the detour. What is no terminal is left alone.
 */
export async function runMasked(
  command: readonly string[],
  environment: Environment,
  secrets: readonly Uint8Array[],
  onStarted: (pid: number) => void = () => undefined,
): Promise<ChildExit> {
  const { master, slave } = openPseudoTerminal();
  const screen = isTerminal(STDOUT) ? STDOUT : STDERR;
  const ownsKeys = screen === STDOUT && isTerminal(STDIN) && isInForeground(STDIN) && existsSync(SETSID);
  copySize(screen, master);
  if (ownsKeys) copyModes(STDIN, slave);
  else makeRaw(slave);
  // Whatever comes before the command runs is told to it then; what comes behind it must not leave the terminal as it is now.
  const stay = (): void => undefined;
  for (const signal of ENDING_SIGNALS) process.on(signal, stay);
  const restore = ownsKeys ? makeRaw(STDIN) : (): void => undefined;
  process.on('exit', restore);
  const output = showMasked(master, screen, secrets);
  const stopTyping = ownsKeys ? passKeysTo(master) : (): void => undefined;
  let pid = 0;
  const onResize = (): void => {
    copySize(screen, master);
    // Its own terminal tells the command; ours told it before the size was right.
    if (!ownsKeys && pid !== 0) tellResized(pid);
  };
  process.on('SIGWINCH', onResize);
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
    stopTyping();
    output.close();
    restore();
    process.off('exit', restore);
    for (const signal of ENDING_SIGNALS) process.off(signal, stay);
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
function showMasked(master: number, screen: number, secrets: readonly Uint8Array[]): MaskedOutput {
  const masker = new Masker(secrets);
  const stream = new ReadStream(master);
  const ended = Promise.withResolvers<void>();
  let timer: NodeJS.Timeout | undefined;
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
  stream.on('data', (bytes: Buffer) => {
    clearTimeout(timer);
    show(masker.push(bytes));
    if (masker.isHolding) timer = setTimeout(flush, HOLD_MS);
  });
  // EIO: nobody has the other end any more.
  stream.on('error', () => ended.resolve()).on('close', () => ended.resolve());
  return {
    async drain() {
      const late = setTimeout(() => ended.resolve(), DRAIN_MS);
      await ended.promise;
      clearTimeout(late);
      clearTimeout(timer);
      flush();
    },
    close() {
      clearTimeout(timer);
      stream.destroy();
    },
  };
}

/** Types on a terminal what is typed on ours. */
function passKeysTo(master: number): () => void {
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
