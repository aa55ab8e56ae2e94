/** The prober: reads one job from standard input, writes its findings to standard output, and exits. */
import { writeSync } from 'node:fs';

import { FrameSplitter } from '../../src/protocol/frame.ts';
import type { ProbeJob } from '../../src/validation.ts';
import { createLog, describeDefect, isSystemdJournal, type Log } from '../log.ts';
import { hostServicesOf } from './host-services.ts';
import { JobError, parseJob } from './job.ts';
import { JOB_BYTES_MAX } from './limits.ts';
import { isLookingUp } from './network/resolve.ts';
import { probe } from './probe.ts';
import { isDeriving } from './restic/scrypt.ts';

const STDERR = 2;

/**
 * Environment variable in which Amazon's container agent gives a task the path of the task's keys on the agent's
 * service. The value is neither a key nor a host.
 */
const CONTAINER_PATH = 'AWS_CONTAINER_CREDENTIALS_RELATIVE_URI';

/** The home directory that Debian enters in passwd(5) for users without one. */
const NO_HOME = '/nonexistent';

async function main(): Promise<void> {
  const log = createLog(writeAll, isSystemdJournal(process.env['JOURNAL_STREAM']));
  // Node's own report would show the message of the error and a line of the source.
  process.on('uncaughtException', (error) => {
    log.error('the prober ended: internal error', describeDefect(error));
    exitNow(1);
  });
  const hostServices = hostServicesOf(process.env[CONTAINER_PATH]);
  clearEnvironment();
  const cancel = new AbortController();
  process.stdout.on('error', () => cancel.abort());
  try {
    const job = await readJob(cancel);
    for await (const finding of probe(job, cancel.signal, hostServices)) {
      send(finding);
    }
    send({ done: true });
    exitNow(0);
  } catch (error) {
    exitNow(report(error, log));
  }
}

/**
 * Exits at once. `process.exit()` would wait for a look-up or a derivation that was abandoned in its thread, so a
 * signal ends the process then. All output has been written before.
 */
function exitNow(code: number): void {
  if (isDeriving() || isLookingUp()) process.kill(process.pid, 'SIGTERM');
  process.exit(code);
}

/** Clears the environment, so that no library finds keys, hosts, proxies or files of this machine in it. */
function clearEnvironment(): void {
  for (const name of Object.keys(process.env)) delete process.env[name];
  // Without these, the AWS SDK would look in the home directory of the user database, and fail if that names none.
  process.env['HOME'] = NO_HOME;
  process.env['AWS_CONFIG_FILE'] = '/dev/null';
  process.env['AWS_SHARED_CREDENTIALS_FILE'] = '/dev/null';
}

/** Reads the job, up to the NUL. If the daemon closes the connection after that, it cancels the job. */
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

/** Writes to standard error, and ignores it if the reader is gone. */
function writeAll(text: string): void {
  try {
    writeSync(STDERR, text);
  } catch (error) {
    if (!['EPIPE', 'EAGAIN', 'EIO'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
  }
}

void main();
