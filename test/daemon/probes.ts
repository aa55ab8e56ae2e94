import type { Finding, ProbeJob } from '../../src/validation.ts';
import type { Core } from './core.ts';

/** The findings of a successful probe. */
export const ALL_WELL: readonly Finding[] = [
  { check: 'resolve', state: 'passed' },
  { check: 'key', state: 'passed' },
];

/** The findings of a probe with a wrong secret key. */
export const WRONG_KEY: readonly Finding[] = [
  { check: 'resolve', state: 'passed' },
  { check: 'key', state: 'failed', reason: 'wrong_secret_key', field: 'secret_key' },
];

/** Makes the core's prober yield these findings, and returns the jobs that it gets. */
export function probes(core: Core, findings: readonly Finding[]): ProbeJob[] {
  const jobs: ProbeJob[] = [];
  core.startProber = () =>
    Promise.resolve({
      send: (text: string) => void jobs.push(jobIn(text)),
      end: () => undefined,
      chunks: chunksOf(findings),
    });
  return jobs;
}

/** A running job of a prober that yields nothing until it is finished. */
export interface HeldProbe {
  readonly job: ProbeJob;
  /** Whether it was told to end. */
  readonly isEnded: boolean;
  /** Yields these findings, and ends. */
  finish(findings: readonly Finding[]): void;
}

/** Makes each job of the core's prober wait; `next` returns the next one that begins. */
export function holdProbes(core: Core): { next(): Promise<HeldProbe> } {
  const begun: HeldProbe[] = [];
  const waiting: ((probe: HeldProbe) => void)[] = [];
  core.startProber = () => {
    const { promise: said, resolve: say } = Promise.withResolvers<readonly Finding[] | undefined>();
    let isEnded = false;
    return Promise.resolve({
      send: (text: string) => {
        const probe = {
          job: jobIn(text),
          get isEnded() {
            return isEnded;
          },
          finish: say,
        };
        const taker = waiting.shift();
        if (taker === undefined) begun.push(probe);
        else taker(probe);
      },
      end: () => {
        isEnded = true;
        say(undefined);
      },
      chunks: (async function* () {
        const findings = await said;
        if (findings !== undefined) yield* chunksOf(findings);
      })(),
    });
  };
  return {
    next: () => {
      const probe = begun.shift();
      return probe === undefined ? new Promise((resolve) => waiting.push(resolve)) : Promise.resolve(probe);
    },
  };
}

async function* chunksOf(findings: readonly Finding[]): AsyncGenerator<Uint8Array> {
  for (const finding of findings) yield Buffer.from(`${JSON.stringify(finding)}\0`);
  yield Buffer.from('{"done":true}\0');
}

function jobIn(text: string): ProbeJob {
  return JSON.parse(text.slice(0, -1)) as ProbeJob;
}
