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

/** Commands that show what a server says. Values are data, which `get` and `generate` print as they are; they are not among these. */
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
/** Well under what a call of the client waits: a server that goes is not waited for. */
const TIME_MAX_MS = 20_000;
/** The terminal itself has a little longer than what runs on it. */
const TERMINAL_TIME_MAX_MS = 2 * TIME_MAX_MS;

/** What a stack trace, or a complaint of Node's own, looks like. */
const TRACE = /\n\s+at .*:\d+:\d+|node:internal|Node\.js v\d/;
/** Of what the servers sent: sequences that a terminal would obey, and characters that turn text. */
const HOSTILE = /\u001b\]|\u0007|[\u0080-\u009f]|\u001b\[2[JK]|\r\u001b|[\u202a-\u202e]/;
/** `cio` itself clears the line of its own progress, so there that is no sign of the server. */
const HOSTILE_ON_TERMINAL = /\u001b\]0;|\u0007|[\u0080-\u009f]|\u001b\[2J|[\u202a-\u202e]/;

const WHAT =
  'whatever a server answers, `cio` ends with a code of the table, no trace, and nothing that a terminal obeys';

/** `cio` with a server that means harm: an exit code of the table, no trace, nothing that the terminal would obey. */
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

/** A command, what a person would see of it, and what is to have no trace in it. */
interface Run {
  readonly code: number | null;
  readonly screen: string;
  readonly log: string;
}

async function piped(words: readonly string[], socketPath: string): Promise<Run> {
  try {
    const { code, stderr } = await cio(words, { command: CIO_LAUNCHER, socketPath, timeoutMs: TIME_MAX_MS });
    // What goes into a pipe is data; what is for the eye is on standard error.
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
