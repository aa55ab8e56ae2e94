import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { NEVER } from '../../../daemon/emitter.ts';
import { JOBS_MAX } from '../../../daemon/probe/job-bounds.ts';
import { Prober } from '../../../daemon/probe/prober.ts';
import type { JobOwner } from '../../../daemon/probe/job-bounds.ts';
import { END_TIME_MAX_MS, ProberMissingError } from '../../../daemon/probe/start-prober.ts';
import type { ProberConnection } from '../../../daemon/probe/start-prober.ts';
import { isCredentialError } from '../../../src/errors.ts';
import { FINDINGS_MAX, VALIDATION_TIME_MAX_MS } from '../../../src/limits.ts';
import { CHECKS } from '../../../src/validation.ts';
import type { Finding, ProbeJob } from '../../../src/validation.ts';

const JOB: ProbeJob = {
  set: 'aws',
  provider: 'aws',
  values: { secret_key: 'the-secret-key', backup_repo: 's3:https://host.example/bucket' },
  restoreOnly: false,
  makeBucket: false,
};
/** The checks that a prober can be at when it fails. */
const PROBED = CHECKS.filter((check) => check !== 'shape' && check !== 'clock');
const ROOT: JobOwner = { uid: 0, isAdministrator: true };
const FINDING: Finding = { check: 'resolve', state: 'passed' };
const FAILED: Finding = { check: 'resolve', state: 'failed', reason: 'prober_failed' };
/** The same after {@link FINDING}. */
const FAILED_NEXT: Finding = { ...FAILED, check: 'connect' };
const DONE = '{"done":true}\0';

/** A prober at the other end of a connection that sends what the test tells it to. */
class StubProber implements ProberConnection {
  readonly sent: string[] = [];
  readonly ended: Promise<void>;
  readonly chunks: AsyncIterable<Uint8Array>;
  #end: () => void = () => undefined;

  /** @param hangs whether it stays silent after the chunks, instead of closing */
  constructor(chunks: Iterable<string>, hangs = false) {
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
    this.chunks = this.#say(chunks, hangs);
  }

  async *#say(chunks: Iterable<string>, hangs: boolean): AsyncGenerator<Uint8Array> {
    for (const chunk of chunks) {
      await new Promise((resolve) => setImmediate(resolve));
      yield Buffer.from(chunk);
    }
    if (hangs) await this.ended;
  }

  send(text: string): void {
    this.sent.push(text);
  }

  end(): void {
    this.#end();
  }
}

async function findings(stub: ProberConnection, job = JOB): Promise<Finding[]> {
  const found: Finding[] = [];
  for await (const finding of new Prober(() => Promise.resolve(stub)).probe(job, ROOT, NEVER)) found.push(finding);
  return found;
}

const text = (...found: readonly object[]): string => found.map((one) => `${JSON.stringify(one)}\0`).join('');

const repeat = (count: number): Finding[] => Array.from({ length: count }, () => FINDING);

describe('Prober', () => {
  it('hands over one job, and yields findings as they come', async () => {
    const second: Finding = { check: 'key', state: 'failed', reason: 'wrong_secret_key', field: 'secret_key' };
    const stub = new StubProber([text(FINDING), text(second).slice(0, 10), text(second).slice(10), DONE]);
    assert.deepEqual(await findings(stub), [FINDING, second]);
    assert.deepEqual(stub.sent, [`${JSON.stringify(JOB)}\0`]);
    await stub.ended;
  });

  for (const [what, chunks, before] of [
    ['ends too early', [text(FINDING)], 1],
    ['sends nothing', [], 0],
    ['sends an invalid message', [text(FINDING), 'nonsense\0', DONE], 1],
    ['sends unknown words', [text({ check: 'resolve', state: 'splendid' }), DONE], 0],
    ['sends a message without end', ['x'.repeat(20_000), 'x'.repeat(20_000), DONE], 0],
    ['sends too many findings', [text(...repeat(FINDINGS_MAX + 1)), DONE], FINDINGS_MAX],
  ] as const) {
    it(`reports prober_failed if it ${what}, and ends it`, async () => {
      const stub = new StubProber(chunks, true);
      const found =
        what === 'ends too early' || what === 'sends nothing' ? findings(new StubProber(chunks)) : findings(stub);
      assert.deepEqual(await found, [...repeat(before), before === 0 ? FAILED : FAILED_NEXT]);
      if (chunks.length > 1) await stub.ended;
    });
  }

  it('reports prober_failed for the first check that was not reported, or the last one', async () => {
    const reported = PROBED.map((check): Finding => ({ check, state: 'passed' }));
    for (const [count, check] of PROBED.entries()) {
      const before = reported.slice(0, count);
      assert.deepEqual(await findings(new StubProber([text(...before)])), [...before, { ...FAILED, check }]);
    }
    assert.deepEqual((await findings(new StubProber([text(...reported)]))).at(-1), { ...FAILED, check: 'password' });
  });

  it('reports prober_missing if none can be started', async () => {
    const prober = new Prober(() => Promise.reject(new ProberMissingError()));
    const found = prober.probe(JOB, ROOT, NEVER);
    const missing = { check: 'resolve', state: 'failed', reason: 'prober_missing' };
    assert.deepEqual(await found.next(), { done: false, value: missing });
    assert.equal((await found.next()).done, true);
  });

  it('has room for the next job after a failed start', async () => {
    const prober = new Prober(() => Promise.reject(new ProberMissingError()));
    for (let count = 0; count <= JOBS_MAX; count += 1) {
      for await (const { reason } of prober.probe(JOB, ROOT, NEVER)) assert.equal(reason, 'prober_missing');
    }
  });

  it('does not turn a defect into a finding', async () => {
    const prober = new Prober(() => Promise.reject(new RangeError('by the test')));
    await assert.rejects(prober.probe(JOB, ROOT, NEVER).next(), RangeError);
  });

  it('masks secrets in findings, but not other values or very short ones', async () => {
    const found = ['s3:https://host.example/bucket', 'short'].map((subject) => ({ ...FINDING, subject }));
    const job = { ...JOB, values: { ...JOB.values, backup_password: 'short' } };
    assert.deepEqual(await findings(new StubProber([text(...found), DONE]), job), found);
    const withSecret = { ...JOB, values: { ...JOB.values, backup_password: 'eight888' } };
    const repeated = text({ ...FINDING, subject: 'called eight888' });
    const hidden = { ...FINDING, subject: '***' };
    assert.deepEqual(await findings(new StubProber([repeated, DONE]), withSecret), [hidden]);
  });

  it('no longer waits for the caller to leave once it is done', async () => {
    let waiting = 0;
    const onGone = (): (() => void) => {
      waiting += 1;
      return () => void (waiting -= 1);
    };
    for await (const _ of new Prober(() => Promise.resolve(new StubProber([DONE]))).probe(JOB, ROOT, onGone))
      assert.fail();
    assert.equal(waiting, 0);
  });

  it('ends a prober that hangs', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const stub = new StubProber([text(FINDING)], true);
    const found = findings(stub);
    await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
    t.mock.timers.tick(VALIDATION_TIME_MAX_MS);
    assert.deepEqual(await found, [FINDING, FAILED_NEXT]);
  });

  it('ends a prober whose caller has left', async () => {
    const stub = new StubProber([text(FINDING)], true);
    let leave: () => void = () => undefined;
    const onGone = (callback: () => void): (() => void) => {
      leave = callback;
      return () => undefined;
    };
    const found = new Prober(() => Promise.resolve(stub)).probe(JOB, ROOT, onGone);
    assert.deepEqual(await found.next(), { done: false, value: FINDING });
    leave();
    await stub.ended;
    assert.deepEqual((await found.next()).value, FAILED_NEXT);
    assert.equal((await found.next()).done, true);
  });

  it('gives no job to a prober that starts after its caller has left, and ends it', async () => {
    const stub = new StubProber([], true);
    const { promise: started, resolve: start } = Promise.withResolvers<ProberConnection>();
    let leave: () => void = () => undefined;
    const onGone = (callback: () => void): (() => void) => {
      leave = callback;
      return () => undefined;
    };
    const found = new Prober(() => started).probe(JOB, ROOT, onGone);
    const next = found.next();
    leave();
    start(stub);
    assert.deepEqual((await next).value, FAILED);
    assert.equal((await found.next()).done, true);
    await stub.ended;
    assert.deepEqual(stub.sent, []);
  });

  it(`runs at most ${JOBS_MAX} at a time, and more once one is done or its time to end is over`, async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const probers: StubProber[] = [];
    const prober = new Prober(() => {
      const stub = new StubProber(probers.length === 0 ? [text(FINDING), DONE] : [text(FINDING)], true);
      probers.push(stub);
      return Promise.resolve(stub);
    });
    const running = Array.from({ length: JOBS_MAX }, () => prober.probe(JOB, ROOT, NEVER));
    for (const one of running) await one.next();
    const refused = (): Promise<void> =>
      assert.rejects(prober.probe(JOB, ROOT, NEVER).next(), (error) => isCredentialError(error, 'Busy'));
    await refused();
    assert.equal((await running[0]?.next())?.done, true);
    const next = prober.probe(JOB, ROOT, NEVER);
    assert.equal((await next.next()).done, false);
    await running[1]?.return();
    await refused();
    t.mock.timers.tick(END_TIME_MAX_MS);
    const last = prober.probe(JOB, ROOT, NEVER);
    assert.equal((await last.next()).done, false);
    for (const one of [...running, next, last]) await one.return();
    for (const stub of probers) await stub.ended;
  });
});
