import { setTimeout as sleep } from 'node:timers/promises';
import { EXIT } from '../../../src/errors.ts';
import { skipUnless } from '../../support/requirements.ts';
import { BenchScope } from '../../bench/bench-scope.ts';
import { REPOSITORY } from '../../bench/servers.ts';
import { quoted, TERMINAL, TerminalProgram } from '../../client/terminal.ts';
import { cio, CIO_LAUNCHER } from '../../support/cio.ts';
import { Breaches, leftOut } from '../scenario.ts';
import type { Outcome, Torture } from '../scenario.ts';
import { BadServer } from './bad-server.ts';
import { replySource } from './replies.ts';

/** Commands that show what a server sends. `get` and `generate` are not among them, as they print values unchanged. */
const COMMANDS: readonly (readonly string[])[] = [
  ['list'],
  ['list', '--output', 'wide'],
  ['list', '--json'],
  ['list', '--output', 'yaml'],
  ['status'],
  ['status', '--json'],
  ['history', 'token'],
  ['history', 'token', '--json'],
  ['validate', 'aws'],
  ['validate', 'aws', '--json'],
  ['remove', 'token', '--yes'],
  ['rollback', 'token'],
  ['grant', 'token', '--unit', 'restic.service'],
  ['revoke', 'token', '--unit', 'restic.service'],
  ['slot', 'list'],
  ['fsck'],
  ['rekey'],
  ['lock'],
  ['unlock'],
  ['create', 'token', 'value'],
  ['exec', 'aws', '--', 'true'],
  ['credential-process', 'aws'],
  ['watch'],
];

const EXITS: ReadonlySet<number | null> = new Set(Object.values(EXIT));

const AT_ONCE = 3;
/**
 * Limit for a command, in ms; well below the client's time-out, as a server that closes the connection need not be
 * waited for.
 */
const TIME_MAX_MS = 20_000;
/** Limit for the terminal, in ms; a little longer than for the program on it. */
const TERMINAL_TIME_MAX_MS = 2 * TIME_MAX_MS;

/** Matches a stack trace or a message of Node itself. */
const TRACE = /\n\s+at .*:\d+:\d+|node:internal|Node\.js v\d/;
/** Matches what the servers send to terminals: control sequences, and characters that change the direction of text. */
const HOSTILE = /\u001b\]|\u0007|[\u0080-\u009f]|\u001b\[2[JK]|\r\u001b|[\u202a-\u202e]/;
/** The same without clearing a line, which `cio` does itself to show its progress. */
const HOSTILE_ON_TERMINAL = /\u001b\]0;|\u0007|[\u0080-\u009f]|\u001b\[2J|[\u202a-\u202e]/;

const WHAT = 'whatever a server answers, `cio` ends with a documented code, without a stack trace or control sequences';

/**
 * Tests `cio` against a hostile server: it must exit with a documented code, and print neither a stack trace nor
 * control sequences.
 */
export async function fuzzCommandLine({ random, choose, progress }: Torture): Promise<Outcome> {
  const missing = skipUnless(TERMINAL);
  if (missing !== false) return leftOut(WHAT, missing);
  await using scope = new BenchScope();
  const server = await BadServer.listen(scope, random, replySource(random));
  const breaches = new Breaches();
  const all = choose(3000, 150);
  const codes = new Map<number | null, number>();
  let done = 0;
  let onTerminals = 0;
  const work = async (): Promise<void> => {
    while (done < all) {
      done += 1;
      const command = random.pick(COMMANDS);
      const words = ['credential', ...command];
      const isOnTerminal = random.oneIn(3);
      if (isOnTerminal) onTerminals += 1;
      const { code, screen, log } = isOnTerminal
        ? await onTerminal(words, server.path)
        : await piped(words, server.path);
      codes.set(code, (codes.get(code) ?? 0) + 1);
      const what = `cio ${command.join(' ')}${isOnTerminal ? ' on a terminal' : ''}`;
      if (!EXITS.has(code)) breaches.add(`${what} ends with ${code}: ${JSON.stringify(log.slice(-300))}`);
      if (TRACE.test(log)) breaches.add(`${what} shows a trace: ${JSON.stringify(log.slice(0, 600))}`);
      const hostile = (isOnTerminal ? HOSTILE_ON_TERMINAL : HOSTILE).exec(screen)?.index;
      if (hostile !== undefined)
        breaches.add(`${what} writes ${JSON.stringify(screen.slice(Math.max(0, hostile - 80), hostile + 40))}`);
      progress(done, all);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  const ends = [...codes].toSorted(([a], [b]) => (a ?? 0) - (b ?? 0)).map(([code, count]) => `${count} × ${code}`);
  if (codes.size < 3) breaches.add('the commands ended in too few ways');
  return {
    what: WHAT,
    count: done,
    unit: 'commands',
    detail: `exit codes ${ends.join(', ')}; ${onTerminals} on terminals`,
    broken: breaches.sentences,
  };
}

/** The result of a command: what a person would see, and what must have no stack trace in it. */
interface Run {
  readonly code: number | null;
  readonly screen: string;
  readonly log: string;
}

async function piped(words: readonly string[], socketPath: string): Promise<Run> {
  try {
    const { code, stderr } = await cio(words, { command: CIO_LAUNCHER, socketPath, timeoutMs: TIME_MAX_MS });
    // Standard output to a pipe is data; messages go to standard error.
    return { code, screen: stderr, log: stderr };
  } catch (error) {
    return { code: null, screen: '', log: String(error) };
  }
}

async function onTerminal(words: readonly string[], socketPath: string): Promise<Run> {
  await using scope = new BenchScope();
  const command = [`${REPOSITORY}/bin/cio`, ...words].map(quoted).join(' ');
  const program = new TerminalProgram(scope, `timeout ${TIME_MAX_MS / 1000} ${command}`, {
    HOME: '/nonexistent',
    CIO_CREDENTIAL_SOCKET: socketPath,
  });
  const code = await Promise.race([program.exit(), sleep(TERMINAL_TIME_MAX_MS, undefined, { ref: false })]);
  if (code === undefined) return { code: null, screen: '', log: `it does not end: ${program.screen}` };
  return { code, screen: program.screen, log: program.screen };
}
