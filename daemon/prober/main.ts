/** The prober: reads one job from standard input, writes what it finds to standard output, and ends. */
import { writeSync } from 'node:fs';

import { FrameSplitter } from '../../src/protocol/frame.ts';
import type { ProbeJob } from '../../src/validation.ts';
import { createLog, describeDefect, isJournal, type Log } from '../log.ts';
import { JobError, parseJob } from './job.ts';
import { JOB_BYTES_MAX } from './limits.ts';
import { isLookingUp } from './network/resolve.ts';
import { probe } from './probe.ts';
import { isDeriving } from './restic/scrypt.ts';
import { surroundingsOf } from './surroundings.ts';

const STDERR = 2;

/** Where Amazon's container agent tells a task at which path of its own service the task's keys lie. It is no key, and no host. */
const CONTAINER_PATH = 'AWS_CONTAINER_CREDENTIALS_RELATIVE_URI';

/** As Debian has it in passwd(5) for users without a home. */
const NO_HOME = '/nonexistent';

async function main(): Promise<void> {
  const log = createLog(writeAll, isJournal(process.env['JOURNAL_STREAM']));
  // Node's own report would show the error's message and a line of the program.
  process.on('uncaughtException', (error) => {
    log.error('the prober ended by a defect', describeDefect(error));
    leave(1);
  });
  const surroundings = surroundingsOf(process.env[CONTAINER_PATH]);
  leaveEnvironment();
  const cancel = new AbortController();
  process.stdout.on('error', () => cancel.abort());
  try {
    const job = await readJob(cancel);
    for await (const finding of probe(job, cancel.signal, surroundings)) {
      send(finding);
    }
    send({ done: true });
    leave(0);
  } catch (error) {
    leave(report(error, log));
  }
}

/** Ends at once. `process.exit()` would wait for threads that were left behind; what was written went out before. */
function leave(code: number): void {
  if (isDeriving() || isLookingUp()) process.kill(process.pid, 'SIGTERM');
  process.exit(code);
}

/** No library finds keys, hosts, proxies or files of this machine in it. */
function leaveEnvironment(): void {
  for (const name of Object.keys(process.env)) delete process.env[name];
  // Without these the AWS SDK would look into the home folder that the user database names, and fail where it names none.
  process.env['HOME'] = NO_HOME;
  process.env['AWS_CONFIG_FILE'] = '/dev/null';
  process.env['AWS_SHARED_CREDENTIALS_FILE'] = '/dev/null';
}

/** Reads up to the NUL; that the other side closes after it, is how it cancels. */
function readJob(cancel: AbortController): Promise<ProbeJob> {
  const frames = new FrameSplitter(JOB_BYTES_MAX);
  const { promise, resolve, reject } = Promise.withResolvers<ProbeJob>();
  const end = (): void => {
    reject(new JobError());
    cancel.abort();
  };
  process.stdin.on('data', (chunk: Buffer) => {
    try {
      for (const frame of frames.push(chunk)) {
        resolve(parseJob(frame));
        frame.fill(0);
      }
    } catch (error) {
      reject(error);
    }
  });
  process.stdin.once('end', end).once('error', end).once('close', end);
  return promise;
}

function send(message: object): void {
  process.stdout.write(`${JSON.stringify(message)}\0`);
}

function report(error: unknown, log: Log): number {
  if (error instanceof JobError) log.error(error.message);
  else log.error('the prober failed', describeDefect(error));
  return 1;
}

/** A reader who is gone is no reason to fail. */
function writeAll(text: string): void {
  try {
    writeSync(STDERR, text);
  } catch (error) {
    if (!['EPIPE', 'EAGAIN', 'EIO'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
  }
}

void main();
