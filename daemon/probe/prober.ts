import { CredentialError } from '../../src/errors.ts';
import { FrameSplitter } from '../../src/protocol/frame.ts';
import { PROVIDERS } from '../../src/providers/registry.ts';
import { FINDINGS_MAX, VALIDATION_TIME_MAX_MS } from '../../src/limits.ts';
import { CHECKS } from '../../src/validation.ts';
import type { CheckId, Finding, ProbeJob } from '../../src/validation.ts';
import type { Subscribe } from '../emitter.ts';
import { parseProberMessage } from './finding.ts';
import { JobBounds } from './job-bounds.ts';
import type { JobOwner } from './job-bounds.ts';
import { END_TIME_MAX_MS, ProberMissingError } from './start-prober.ts';
import type { ProberConnection, StartProber } from './start-prober.ts';

/** Largest message that is accepted from a prober. */
const MESSAGE_BYTES_MAX = 16 * 1024;

/** Shorter values are not searched for in findings: they occur in any text by chance, and are hardly secrets. */
const SECRET_LENGTH_MIN = 8;

/**
 * Validates sets in separate processes. Each process gets one set for one job, so whatever goes wrong in it affects
 * that job only.
 */
export class Prober {
  readonly #start: StartProber;
  readonly #bounds: JobBounds = new JobBounds();

  constructor(start: StartProber) {
    this.#start = start;
  }

  /**
   * Runs a validation and yields its findings as they arrive. If the prober itself fails, that is a finding as well, of
   * the first check that it did not report.
   *
   * @param owner on whose behalf it runs
   * @param onGone registers a callback for the moment when nobody waits for the result any more; returns the function
   *   that unregisters it
   * @throws CredentialError `Busy`
   */
  async *probe(job: ProbeJob, owner: JobOwner, onGone: Subscribe): AsyncGenerator<Finding, void, undefined> {
    const release = this.#bounds.reserve(owner);
    let connection: ProberConnection | undefined;
    const reported = new Set<CheckId>();
    let isDone = false;
    let isEnded = false;
    const end = (): void => {
      isEnded = true;
      connection?.end();
    };
    const timer = setTimeout(end, VALIDATION_TIME_MAX_MS);
    const unsubscribe = onGone(end);
    try {
      connection = await this.#start();
      // If the caller went away while the prober started, it gets no job.
      if (isEnded) connection.end();
      else connection.send(`${JSON.stringify(job)}\0`);
      isDone = yield* readFindings(connection, secretsOf(job), reported);
      if (!isDone) yield failure('prober_failed', reported);
    } catch (error) {
      if (!(error instanceof ProberMissingError)) throw error;
      yield failure('prober_missing', reported);
    } finally {
      clearTimeout(timer);
      unsubscribe();
      connection?.end();
      // A prober that is told to stop takes some time to clean up. Until then its place stays taken, so that a caller
      // who keeps starting and abandoning validations does not get more processes than the limit.
      if (isDone || connection === undefined) release();
      else setTimeout(release, END_TIME_MAX_MS).unref();
    }
  }
}

/**
 * Yields the findings of a prober, and adds their checks to `reported`.
 *
 * @returns whether the prober marked the end of its findings
 */
async function* readFindings(
  connection: ProberConnection,
  secrets: readonly string[],
  reported: Set<CheckId>,
): AsyncGenerator<Finding, boolean, undefined> {
  const frames = new FrameSplitter(MESSAGE_BYTES_MAX);
  let count = 0;
  for await (const chunk of connection.chunks) {
    for (const frame of splitFrames(frames, chunk)) {
      const message = parseProberMessage(frame, secrets);
      if (message?.kind === 'done') return true;
      count += 1;
      if (message === undefined || count > FINDINGS_MAX) return false;
      reported.add(message.finding.check);
      yield message.finding;
    }
  }
  return false;
}

/**
 * The frames in a chunk. For a frame that is too large it yields an empty one, which is not a valid message, and stops.
 */
function* splitFrames(frames: FrameSplitter, chunk: Uint8Array): Generator<Uint8Array, void, undefined> {
  try {
    yield* frames.push(chunk);
  } catch (error) {
    if (!(error instanceof CredentialError)) throw error;
    yield new Uint8Array();
  }
}

function secretsOf({ values }: ProbeJob): string[] {
  return Object.entries(values)
    .filter(([field, value]) => !PUBLIC_FIELDS.has(field) && value.length >= SECRET_LENGTH_MIN)
    .map(([, value]) => value);
}

/** Fields whose values findings may repeat: hosts, buckets, regions. */
const PUBLIC_FIELDS: ReadonlySet<string> = new Set(
  [...PROVIDERS.values()].flatMap(({ fields }) => fields.filter(({ isSecret }) => !isSecret).map(({ id }) => id)),
);

/**
 * The checks that a prober can be at when it fails: not that of the values by themselves, nor that of the clock, for
 * which it has the answer to the first request of the check `key`.
 */
const PROBED: readonly CheckId[] = CHECKS.filter((check) => check !== 'shape' && check !== 'clock');

function failure(reason: 'prober_failed' | 'prober_missing', reported: ReadonlySet<CheckId>): Finding {
  return { check: PROBED.find((check) => !reported.has(check)) ?? 'password', state: 'failed', reason };
}
