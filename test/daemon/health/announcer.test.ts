import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Announcer, CHANGES_PER_HOUR_MAX } from '../../../daemon/health/announcer.ts';
import { createLog } from '../../../daemon/log.ts';
import type { HealthRecord } from '../../../daemon/vault/records.ts';

const HOUR_MS = 60 * 60 * 1000;
const SET = 'aws_of_a_secret_customer';

/** One set whose trials are heard, and what the log says of them. */
class Heard {
  readonly lines: string[] = [];
  now: number = Date.UTC(2026, 0, 2);
  /** Another one after the contents of another store were restored. */
  readonly vault: { storeId: Uint8Array } = { storeId: new Uint8Array(16) };
  readonly #announcer: Announcer;
  #last: HealthRecord | undefined;

  constructor(last?: HealthRecord['state']) {
    const log = createLog((line) => void this.lines.push(line), false);
    this.#announcer = new Announcer(log, this.vault, () => this.now);
    this.#last = last && this.#record(last);
  }

  /** @returns the lines that were logged for it */
  hear(state: HealthRecord['state'], { isTold = true, afterMs = 60_000 } = {}): string[] {
    this.now += afterMs;
    this.lines.length = 0;
    const after = this.#record(state);
    this.#announcer.hear({ before: this.#last, after }, isTold);
    this.#last = after;
    return [...this.lines];
  }

  /** What was known of the set before. */
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
  it('says that a set fails, why, and that it works again, and nothing while it stays so', () => {
    const heard = new Heard('passed');
    assert.deepEqual(heard.hear('passed'), []);
    const [line = '', ...others] = heard.hear('failed');
    assert.deepEqual(others, []);
    assert.match(
      line,
      /^cio-credentiald: warning: a set fails its validation set=[0-9a-f-]{36} owner=1000 check=key reason=wrong_secret_key\n$/,
    );
    for (let round = 0; round < 10; round += 1) assert.deepEqual(heard.hear('failed'), []);
    assert.match(heard.hear('passed').join(), /^cio-credentiald: a set works again set=[0-9a-f-]{36} owner=1000\n$/);
    assert.deepEqual(heard.hear('passed'), []);
  });

  it('says it of a set that was never tried where it fails, and does not say again what was so before the start', () => {
    assert.deepEqual(new Heard().hear('passed'), []);
    assert.equal(new Heard().hear('failed').length, 1);
    assert.deepEqual(new Heard('failed').hear('failed'), []);
    assert.equal(new Heard('failed').hear('passed').length, 1);
  });

  it('takes nothing that it said of another store for said', () => {
    const heard = new Heard();
    assert.equal(heard.hear('failed').length, 1);
    heard.vault.storeId = new Uint8Array(16).fill(1);
    heard.forget();
    assert.equal(heard.hear('failed').length, 1);
  });

  it('says it later where it is not to be told at once', () => {
    const heard = new Heard('passed');
    assert.deepEqual(heard.hear('failed', { isTold: false }), []);
    assert.equal(heard.hear('failed').length, 1);
  });

  it(`mutes a set after ${CHANGES_PER_HOUR_MAX} changes in an hour, says so once, and goes on when it was calm for one`, () => {
    const heard = new Heard('passed');
    const states = Array.from({ length: 100 }, (_, index) => (index % 2 === 0 ? 'failed' : 'passed'));
    const lines = states.flatMap((state) => heard.hear(state));
    assert.equal(lines.length, CHANGES_PER_HOUR_MAX + 1);
    assert.match(lines.at(-1) ?? '', /by turns/);
    assert.deepEqual(heard.hear('passed', { afterMs: HOUR_MS }), [], 'it was told that it passes');
    assert.equal(heard.hear('failed').length, 1);
  });

  it('tells, when a muted set is calm again, what it was not told', () => {
    const heard = new Heard('passed');
    for (let round = 0; round <= CHANGES_PER_HOUR_MAX; round += 1) heard.hear(round % 2 === 0 ? 'failed' : 'passed');
    assert.deepEqual(heard.hear('failed'), []);
    assert.match(heard.hear('failed', { afterMs: HOUR_MS }).join(), /a set fails its validation/);
  });

  it('never says the name of a set, nor what a finding says of it', () => {
    const heard = new Heard('passed');
    const lines = ['failed', 'passed', 'failed'].flatMap((state) => heard.hear(state as HealthRecord['state']));
    assert.equal(lines.length, 3);
    for (const line of lines) assert.ok(!line.includes('secret_customer') && !line.includes('secret_key '), line);
  });

  it('is muted for no longer where the clock is set back', () => {
    const heard = new Heard('passed');
    heard.now += 10_000 * HOUR_MS;
    for (let change = 0; change <= CHANGES_PER_HOUR_MAX; change += 1)
      heard.hear(change % 2 === 0 ? 'failed' : 'passed');
    assert.deepEqual(heard.hear('failed'), [], 'muted');
    heard.now -= 10_000 * HOUR_MS;
    assert.equal(heard.hear('failed', { afterMs: 2 * HOUR_MS }).length, 1);
  });
});
