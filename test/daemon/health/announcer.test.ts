import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Announcer, CHANGES_PER_HOUR_MAX } from '../../../daemon/health/announcer.ts';
import { createLog } from '../../../daemon/log.ts';
import type { HealthRecord } from '../../../daemon/vault/records.ts';

const HOUR_MS = 60 * 60 * 1000;
const SET = 'aws_of_a_secret_customer';

/** One set with its validation results, and the log lines about it. */
class AnnouncedSet {
  readonly lines: string[] = [];
  now: number = Date.UTC(2026, 0, 2);
  /** Changes when the contents of another store are restored. */
  readonly vault: { storeId: Uint8Array } = { storeId: new Uint8Array(16) };
  readonly #announcer: Announcer;
  #last: HealthRecord | undefined;

  constructor(last?: HealthRecord['state']) {
    const log = createLog((line) => void this.lines.push(line), false);
    this.#announcer = new Announcer(log, this.vault, () => this.now);
    this.#last = last && this.#record(last);
  }

  /** @returns the lines that were logged for the result */
  observe(state: HealthRecord['state'], { mayLog = true, afterMs = 60_000 } = {}): string[] {
    this.now += afterMs;
    this.lines.length = 0;
    const after = this.#record(state);
    this.#announcer.observe({ before: this.#last, after }, mayLog);
    this.#last = after;
    return [...this.lines];
  }

  /** Forgets the last result of the set. */
  forget(): void {
    this.#last = undefined;
  }

  #record(state: HealthRecord['state']): HealthRecord {
    const finding = { check: 'key', state: 'failed', reason: 'wrong_secret_key', field: 'secret_key' } as const;
    const known = { space: 'uid:1000', set: SET, generation: 1, checked: this.now } as const;
    return { ...known, state, ...(state === 'failed' ? { finding } : {}) };
  }
}

describe('Announcer', () => {
  it('logs that a set fails and why, and that it works again, but nothing while its state stays', () => {
    const set = new AnnouncedSet('passed');
    assert.deepEqual(set.observe('passed'), []);
    const [line = '', ...others] = set.observe('failed');
    assert.deepEqual(others, []);
    assert.match(
      line,
      /^cio-credentiald: warning: a set fails its validation set=[0-9a-f-]{36} owner=1000 check=key reason=wrong_secret_key\n$/,
    );
    for (let round = 0; round < 10; round += 1) assert.deepEqual(set.observe('failed'), []);
    assert.match(set.observe('passed').join(), /^cio-credentiald: a set works again set=[0-9a-f-]{36} owner=1000\n$/);
    assert.deepEqual(set.observe('passed'), []);
  });

  it('logs the failure of a set that was never validated, but not a failure from before the start', () => {
    assert.deepEqual(new AnnouncedSet().observe('passed'), []);
    assert.equal(new AnnouncedSet().observe('failed').length, 1);
    assert.deepEqual(new AnnouncedSet('failed').observe('failed'), []);
    assert.equal(new AnnouncedSet('failed').observe('passed').length, 1);
  });

  it('logs the failure again if another store has taken the place of the first', () => {
    const set = new AnnouncedSet();
    assert.equal(set.observe('failed').length, 1);
    set.vault.storeId = new Uint8Array(16).fill(1);
    set.forget();
    assert.equal(set.observe('failed').length, 1);
  });

  it('logs the failure later if it must not be logged at once', () => {
    const set = new AnnouncedSet('passed');
    assert.deepEqual(set.observe('failed', { mayLog: false }), []);
    assert.equal(set.observe('failed').length, 1);
  });

  it(`mutes a set after ${CHANGES_PER_HOUR_MAX} changes in an hour, says so once, and resumes after a calm hour`, () => {
    const set = new AnnouncedSet('passed');
    const states = Array.from({ length: 100 }, (_, index) => (index % 2 === 0 ? 'failed' : 'passed'));
    const lines = states.flatMap((state) => set.observe(state));
    assert.equal(lines.length, CHANGES_PER_HOUR_MAX + 1);
    assert.match(lines.at(-1) ?? '', /keeps changing between failing and working/);
    assert.deepEqual(set.observe('passed', { afterMs: HOUR_MS }), [], 'it was told that it passes');
    assert.equal(set.observe('failed').length, 1);
  });

  it('logs the missed state once a muted set is calm again', () => {
    const set = new AnnouncedSet('passed');
    for (let round = 0; round <= CHANGES_PER_HOUR_MAX; round += 1) set.observe(round % 2 === 0 ? 'failed' : 'passed');
    assert.deepEqual(set.observe('failed'), []);
    assert.match(set.observe('failed', { afterMs: HOUR_MS }).join(), /a set fails its validation/);
  });

  it('never logs the name of a set or the details of a finding', () => {
    const set = new AnnouncedSet('passed');
    const lines = ['failed', 'passed', 'failed'].flatMap((state) => set.observe(state as HealthRecord['state']));
    assert.equal(lines.length, 3);
    for (const line of lines) assert.ok(!line.includes('secret_customer') && !line.includes('secret_key '), line);
  });

  it('does not mute for longer if the clock is set back', () => {
    const set = new AnnouncedSet('passed');
    set.now += 10_000 * HOUR_MS;
    for (let change = 0; change <= CHANGES_PER_HOUR_MAX; change += 1)
      set.observe(change % 2 === 0 ? 'failed' : 'passed');
    assert.deepEqual(set.observe('failed'), [], 'muted');
    set.now -= 10_000 * HOUR_MS;
    assert.equal(set.observe('failed', { afterMs: 2 * HOUR_MS }).length, 1);
  });
});
