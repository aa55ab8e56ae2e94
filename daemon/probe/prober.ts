import { CredentialError } from '../../src/errors.ts';
import { FrameSplitter } from '../../src/protocol/frame.ts';
import { PROVIDERS } from '../../src/providers/registry.ts';
import { FINDINGS_MAX, VALIDATION_TIME_MAX_MS } from '../../src/limits.ts';
import type { Finding, ProbeJob } from '../../src/validation.ts';
import type { Gone } from '../gone.ts';
import { parseProberMessage } from './finding.ts';
import { JobBounds } from './job-bounds.ts';
import type { JobOwner } from './job-bounds.ts';
import { END_TIME_MAX_MS, ProberMissingError } from './start-prober.ts';
import type { ProberConnection, StartProber } from './start-prober.ts';

/** Largest message of a prober. */
const MESSAGE_BYTES_MAX = 16 * 1024;

/** Shorter values are in every text, and are no secret worth the name. */
const SECRET_LENGTH_MIN = 8;

/**
 * Has other processes look whether a set works. Each gets one set for one job; whatever it does, it costs that job and
 * nothing else.
 */
export class Prober {
  readonly #start: StartProber;
  readonly #bounds: JobBounds = new JobBounds();

  constructor(start: StartProber) {
    this.#start = start;
  }

  /**
   * What a validation finds, as it is found. A prober that fails is a finding as well.
   *
   * @param owner for whom
   * @param gone calls back when nobody wants to know any more; returns what takes that back
   * @throws CredentialError `Busy`
   */
  async *probe(job: ProbeJob, owner: JobOwner, gone: Gone): AsyncGenerator<Finding, void, undefined> {
    const giveBack = this.#bounds.take(owner);
    let connection: ProberConnection | undefined;
    let isDone = false;
    let isEnded = false;
    const end = (): void => {
      isEnded = true;
      connection?.end();
    };
    const timer = setTimeout(end, VALIDATION_TIME_MAX_MS);
    const forget = gone(end);
    try {
      connection = await this.#start();
      // Whoever went away while it was started wants nothing tried.
      if (isEnded) connection.end();
      else connection.send(`${JSON.stringify(job)}\0`);
      isDone = yield* readFindings(connection, secretsOf(job));
      if (!isDone) yield failure('prober_failed');
    } catch (error) {
      if (!(error instanceof ProberMissingError)) throw error;
      yield failure('prober_missing');
    } finally {
      clearTimeout(timer);
      forget();
      connection?.end();
      // One that is told to stop takes its time to clean up: who begins and leaves, over and over, has no more of them.
      if (isDone || connection === undefined) giveBack();
      else setTimeout(giveBack, END_TIME_MAX_MS).unref();
    }
  }
}

/** @returns whether the prober said that this was all */
async function* readFindings(
  connection: ProberConnection,
  secrets: readonly string[],
): AsyncGenerator<Finding, boolean, undefined> {
  const frames = new FrameSplitter(MESSAGE_BYTES_MAX);
  let count = 0;
  for await (const chunk of connection.chunks) {
    for (const frame of splitOrNothing(frames, chunk)) {
      const message = parseProberMessage(frame, secrets);
      if (message?.kind === 'done') return true;
      count += 1;
      if (message === undefined || count > FINDINGS_MAX) return false;
      yield message.finding;
    }
  }
  return false;
}

/** The frames in a chunk; none where one is too large, and nothing after it. */
function* splitOrNothing(frames: FrameSplitter, chunk: Uint8Array): Generator<Uint8Array, void, undefined> {
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

/** Findings name hosts, buckets and regions. */
const PUBLIC_FIELDS: ReadonlySet<string> = new Set(
  [...PROVIDERS.values()].flatMap(({ fields }) => fields.filter(({ isSecret }) => !isSecret).map(({ id }) => id)),
);

function failure(reason: 'prober_failed' | 'prober_missing'): Finding {
  return { check: 'resolve', state: 'failed', reason };
}
