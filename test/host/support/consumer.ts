import assert from 'node:assert/strict';
import { DAEMON } from './daemon.ts';
import type { Machine } from './machine.ts';

export const LOAD_SOCKET = '/run/cio-credentiald/load';
export const LOAD_ENCRYPTED_SOCKET = '/run/cio-credentiald/load-encrypted';

/** What systemd reports about the last start of a unit. */
export interface Outcome {
  readonly ActiveState: string;
  /** `success`, `exit-code`, `timeout`, … */
  readonly Result: string;
  readonly ExecMainStatus: string;
}

export interface ConsumerOptions {
  /** The names of the credentials to load from {@link LOAD_SOCKET}. `lines` can load others. */
  readonly loads?: readonly string[];
  /** More lines for the unit's `[Service]` section. */
  readonly lines?: readonly string[];
  /** The name of the unit file if that is not the unit's name: for a template. */
  readonly file?: string;
}

const STARTED: Outcome = { ActiveState: 'active', Result: 'success', ExecMainStatus: '0' };
/** 243 is EXIT_CREDENTIALS (systemd.exec(5)). */
const NO_CREDENTIALS: Outcome = { ActiveState: 'failed', Result: 'exit-code', ExecMainStatus: '243' };

/** A unit with a dynamic user that loads credentials and prints them, without a separator, into a file. */
export class Consumer {
  readonly unit: string;
  readonly #machine: Machine;

  private constructor(machine: Machine, unit: string) {
    this.#machine = machine;
    this.unit = unit;
  }

  /** Makes the unit known to systemd. */
  static async make(machine: Machine, unit: string, options: ConsumerOptions): Promise<Consumer> {
    const { loads = [], lines = [], file = unit } = options;
    const text = [
      '[Service]',
      'Type=oneshot',
      'RemainAfterExit=yes',
      'DynamicUser=yes',
      ...loads.map((name) => `LoadCredential=${name}:${LOAD_SOCKET}`),
      ...lines,
      `ExecStart=/bin/sh -c 'cat "$$CREDENTIALS_DIRECTORY"/*'`,
      'StandardOutput=truncate:/run/received/%n',
      '',
    ].join('\n');
    await machine.writeFile(`/run/systemd/system/${file}`, text);
    await machine.shell('mkdir -p -m 0700 /run/received; systemctl daemon-reload');
    return new Consumer(machine, unit);
  }

  /** Starts the unit again, and waits until that start has ended. */
  async start(): Promise<Outcome> {
    await this.begin();
    return this.end();
  }

  /** Begins a new start without waiting for it. */
  async begin(): Promise<void> {
    await this.#machine.shell(
      `systemctl stop -- "$1"; systemctl reset-failed -- "$1" || true; rm -f -- "/run/received/$1"; systemctl start --no-block -- "$1"`,
      this.unit,
    );
  }

  /** Waits for the end of the start that was begun. */
  end(): Promise<Outcome> {
    return this.#machine.until(async () => {
      const { Job, ...outcome } = await this.#machine.show(this.unit, 'Job', 'ActiveState', 'Result', 'ExecMainStatus');
      return Job === '' || Job === '0' ? outcome : undefined;
    }, 60_000);
  }

  /** Returns what the unit printed: the values of its credentials, in the order of their names. */
  received(): Promise<Buffer> {
    return this.#machine.readFile(`/run/received/${this.unit}`);
  }

  /** Starts the unit, and checks that it gets exactly this value. */
  async assertGets(value: string | Uint8Array): Promise<void> {
    await this.assertGot(await this.start(), value);
  }

  async assertGot(outcome: Outcome, value: string | Uint8Array): Promise<void> {
    assert.deepEqual(outcome, STARTED, await this.#log());
    const received = await this.received();
    const isExact = received.equals(Buffer.from(value as Uint8Array));
    assert.ok(isExact, `${this.unit} got other ${received.length} bytes:\n${isExact ? '' : await this.#log()}`);
  }

  /** Starts the unit, and checks that it fails because it gets no credentials. */
  async assertRefused(): Promise<void> {
    await this.assertFailed(await this.start());
  }

  async assertFailed(outcome: Outcome): Promise<void> {
    assert.deepEqual(outcome, NO_CREDENTIALS, await this.#log());
  }

  /**
   * Tells whether the unit started. Checks that it got this value if it did, and that it failed for lack of credentials
   * if not.
   */
  async assertGetsOrRefused(outcome: Outcome, value: Uint8Array): Promise<boolean> {
    if (outcome.Result === 'success') await this.assertGot(outcome, value);
    else await this.assertFailed(outcome);
    return outcome.Result === 'success';
  }

  /** The last log lines of the unit and the daemon, for the message of a failing test. */
  #log(): Promise<string> {
    const units = [`--unit=${this.unit}`, `--unit=${DAEMON}`];
    return this.#machine.succeed(['journalctl', '--lines=40', '--output=short-precise', '--no-hostname', ...units]);
  }
}
