import { CredentialError } from '../../src/errors.ts';
import { KIND, fixedTag } from '../store/sealed-store.ts';
import type { SealedReader } from '../store/sealed-store.ts';
import { TimeSlice } from '../time-slice.ts';
import { Digest, decodeHead } from './head.ts';
import type { Unlocked, Vault } from './vault.ts';

/** When it begins: what is asked for at a start of the host comes first. */
const DELAY_MS = 60_000;

/** When it is tried again that could not be done: a disk that was full has room by then, or has been looked at. */
const RETRY_MS: number = 15 * 60_000;

/** How many checks in a row may be given up for what waits to be purged; the next one is brought to its end all the same. */
const GIVEN_UP_MAX = 3;

/** Records between two looks at the clock; each may have a little more than 1 MiB. */
const PAGE = 16;

/** Hears of what a check came to. */
export interface SelfCheckEvents {
  onDamaged(): void;
  onFailed(error: unknown): void;
}

/**
 * Holds all records of the store against its head, once after it was opened, in slices between which others have their
 * turn: a record that was deleted, added, or put back from an older copy while no daemon ran is told of, and not only when
 * somebody asks. It does not open the records, and does not say which one it is; fsck does.
 */
export class SelfCheck {
  readonly #vault: Vault;
  readonly #events: SelfCheckEvents;
  #isIntact: boolean | undefined;
  /** Of what. */
  #of: Unlocked | undefined;
  #givenUp = 0;
  #timer: NodeJS.Timeout | undefined;
  #isStopped = false;
  #running: Promise<void> | undefined;
  #unwatch: () => void = () => undefined;

  constructor(vault: Vault, events: SelfCheckEvents) {
    this.#vault = vault;
    this.#events = events;
  }

  /** What the last check came to; undefined where there was none of what is open now. */
  get isIntact(): boolean | undefined {
    return !this.#vault.isLocked && this.#vault.unlocked() === this.#of ? this.#isIntact : undefined;
  }

  start(): void {
    this.#unwatch = this.#vault.watch((change) => {
      if (change !== undefined) return;
      // It was unlocked, repaired, or has other contents.
      this.#of = undefined;
      this.#plan(DELAY_MS);
    });
    this.#plan(DELAY_MS);
  }

  /** Ends what is under way. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#unwatch();
    clearTimeout(this.#timer);
    await this.#running;
  }

  /** Checks now. What is locked, repaired, or given another key, meanwhile is not known to be anything. */
  async run(): Promise<void> {
    const of = this.#vault.unlocked();
    const isIntact = await this.#look(of);
    if (isIntact === undefined) {
      this.#plan(DELAY_MS);
      return;
    }
    this.#givenUp = 0;
    this.#of = of;
    this.#isIntact = isIntact;
    if (!isIntact) this.#events.onDamaged();
  }

  /** A page that cannot be read is a store that is not as it was left, too. */
  async #look(of: Unlocked): Promise<boolean | undefined> {
    try {
      return await this.#vault.readSnapshot((snapshot, isInTheWay) => this.#compare(of, snapshot, isInTheWay));
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
      this.#events.onFailed(error);
      this.#plan(RETRY_MS);
    }
  }

  /**
   * Whether fingerprints can be made as the head's were, nothing was repaired since, and nobody waits for the snapshot to end.
   */
  #isUnchanged(of: Unlocked, { sealing, reader }: Pick<Unlocked, 'sealing' | 'reader'>): boolean {
    const { isLocked, isExclusive } = this.#vault;
    if (this.#isStopped || isLocked || isExclusive || this.#vault.unlocked() !== of) return false;
    return of.sealing === sealing && of.reader === reader;
  }

  /** @param isInTheWay what was deleted cannot be purged because of the snapshot */
  async #compare(of: Unlocked, snapshot: SealedReader, isInTheWay: () => boolean): Promise<boolean | undefined> {
    const { sealing, reader } = of;
    const slice = new TimeSlice(this.#vault.turns, undefined);
    const digest = new Digest();
    for (const kind of Object.values(KIND)) {
      if (kind === KIND.head) continue;
      let after: Uint8Array | undefined;
      do {
        await slice.pause();
        if (!this.#isUnchanged(of, { sealing, reader })) return undefined;
        if (isInTheWay() && this.#givenUp < GIVEN_UP_MAX) {
          this.#givenUp += 1;
          return undefined;
        }
        const page = snapshot.list(kind, after, PAGE);
        for (const { tag, body } of page) digest.add(sealing.fingerprint(kind, tag, body));
        after = page.length < PAGE ? undefined : page.at(-1)?.tag;
      } while (after !== undefined);
    }
    const headTag = fixedTag('head');
    const body = snapshot.get(KIND.head, headTag);
    const text = body && sealing.open(KIND.head, headTag, body);
    const head = text && decodeHead(text);
    return head !== undefined && digest.equals(head.digest);
  }
}
