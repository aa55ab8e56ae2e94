import { CredentialError } from '../../src/errors.ts';
import { KIND } from '../store/sealed-store.ts';
import type { SealedReader } from '../store/sealed-store.ts';
import { TimeSlice } from '../time-slice.ts';
import { Digest, headIn } from './head.ts';
import type { Unlocked } from './unlocked.ts';
import type { Vault } from './vault.ts';

/** Delay before the check, so that requests during the boot of the host come first. */
const DELAY_MS = 60_000;

/** Delay before a failed check is retried, which gives an operator time to fix a disk. */
const RETRY_MS: number = 15 * 60_000;

/** Most checks in a row that are abandoned in favour of a waiting purge; the next one runs to its end. */
const GIVEN_UP_MAX = 3;

/** Records read between two checks of the clock; each may have a little more than 1 MiB. */
const PAGE = 16;

const NO_BODY = new Uint8Array(0);

/** Callbacks for the result of a check. */
export interface SelfCheckEvents {
  onDamaged(): void;
  onFailed(error: unknown): void;
}

/**
 * Compares all records of the store with its head, and checks its pages, once after it was unlocked, in time slices
 * between which other work gets its turn. So a record that was deleted, added, or put back from an older copy while no
 * daemon ran is noticed without anybody asking. The check does not decrypt the records and cannot tell which one is
 * affected; fsck can.
 */
export class SelfCheck {
  readonly #vault: Vault;
  readonly #events: SelfCheckEvents;
  #isIntact: boolean | undefined;
  /** The state of the vault to which `#isIntact` applies. */
  #checked: Unlocked | undefined;
  #givenUp = 0;
  #timer: NodeJS.Timeout | undefined;
  #isStopped = false;
  #running: Promise<void> | undefined;
  #unwatch: () => void = () => undefined;

  constructor(vault: Vault, events: SelfCheckEvents) {
    this.#vault = vault;
    this.#events = events;
  }

  /** Result of the last check; undefined if the store was locked or repaired since, or never checked. */
  get isIntact(): boolean | undefined {
    return !this.#vault.isLocked && this.#vault.unlocked() === this.#checked ? this.#isIntact : undefined;
  }

  start(): void {
    this.#unwatch = this.#vault.watch((change) => {
      if (change !== undefined) return;
      // The store was unlocked or repaired, or its contents replaced.
      this.#checked = undefined;
      this.#plan(DELAY_MS);
    });
    this.#plan(DELAY_MS);
  }

  /** Stops, and waits for a running check to end. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#unwatch();
    clearTimeout(this.#timer);
    await this.#running;
  }

  /**
   * Checks now. If the store is locked, repaired or rekeyed meanwhile, there is no result, and another check is
   * planned.
   */
  async run(): Promise<void> {
    const unlocked = this.#vault.unlocked();
    const isIntact = await this.#look(unlocked);
    if (isIntact === undefined) {
      this.#plan(DELAY_MS);
      return;
    }
    this.#givenUp = 0;
    this.#checked = unlocked;
    this.#isIntact = isIntact;
    if (!isIntact) this.#events.onDamaged();
  }

  /**
   * Compares a snapshot with its head, and checks the pages. A damaged page counts as a mismatch, and a check that could
   * not be made as none: it throws then. Undefined if the check was abandoned.
   *
   * Comparing is not enough: in a forged b-tree with keys out of order, a look-up by key can find another record than a
   * scan, and a scan that begins elsewhere can find more.
   */
  async #look(unlocked: Unlocked): Promise<boolean | undefined> {
    const { sealing, reader } = unlocked;
    try {
      const isSame = await this.#vault.readSnapshot((snapshot, isInTheWay) =>
        this.#compare(unlocked, snapshot, isInTheWay),
      );
      if (isSame !== true) return isSame;
      if (!this.#isUnchanged(unlocked, { sealing, reader })) return undefined;
      const damage = await this.#vault.findPageDamage();
      // It may be that of a store which was repaired or replaced meanwhile.
      return this.#isUnchanged(unlocked, { sealing, reader }) ? damage.length === 0 : undefined;
    } catch (error) {
      if (error instanceof CredentialError && error.code === 'Damaged') return false;
      throw error;
    }
  }

  #plan(delayMs: number): void {
    if (this.#isStopped) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void (this.#running = this.#runPlanned()), delayMs).unref();
  }

  async #runPlanned(): Promise<void> {
    try {
      if (!this.#vault.isLocked) await this.run();
    } catch (error) {
      // A stop ends the process that checks the pages.
      if (!this.#isStopped) this.#events.onFailed(error);
      this.#plan(RETRY_MS);
    }
  }

  /**
   * Tells whether the check may go on: the store is unlocked with the same keys and was not repaired, the check was not
   * stopped, and no exclusive work has begun, whose purge would have to wait for the snapshot.
   */
  #isUnchanged(unlocked: Unlocked, { sealing, reader }: Pick<Unlocked, 'sealing' | 'reader'>): boolean {
    const { isLocked, isExclusive } = this.#vault;
    if (this.#isStopped || isLocked || isExclusive || this.#vault.unlocked() !== unlocked) return false;
    return unlocked.sealing === sealing && unlocked.reader === reader;
  }

  /** @param isInTheWay tells whether a purge has waited long for the snapshot to end */
  async #compare(unlocked: Unlocked, snapshot: SealedReader, isInTheWay: () => boolean): Promise<boolean | undefined> {
    const { sealing, reader } = unlocked;
    const slice = new TimeSlice(this.#vault.turns, undefined);
    const digest = new Digest();
    for (const kind of Object.values(KIND)) {
      if (kind === KIND.head) continue;
      let after: Uint8Array | undefined;
      do {
        await slice.pause();
        if (!this.#isUnchanged(unlocked, { sealing, reader })) return undefined;
        if (isInTheWay() && this.#givenUp < GIVEN_UP_MAX) {
          this.#givenUp += 1;
          return undefined;
        }
        const page = snapshot.list(kind, after, PAGE);
        // The bodies that a look-up finds: SQLite compares keys faster there than in its check of the pages, and trusts
        // the row headers.
        for (const { tag } of page) digest.add(sealing.fingerprint(kind, tag, snapshot.get(kind, tag) ?? NO_BODY));
        after = page.length < PAGE ? undefined : page.at(-1)?.tag;
      } while (after !== undefined);
    }
    return headIn(snapshot, sealing)?.digest.equals(digest) === true;
  }
}
