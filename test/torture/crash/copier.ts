import { createHash } from 'node:crypto';
import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { CredentialClient } from '../../../client/index.ts';
import { sendCopy, takeCopy } from '../copy.ts';
import type { Random } from '../random.ts';
import { Breaches } from '../scenario.ts';
import type { Outcome } from '../scenario.ts';

/** One in so many daemon lives has a copy made, so that its writes interleave with the others. */
const LIVES_PER_COPY = 3;
/** Longest wait before the copy begins, in ms. */
const BEFORE_MS = 20;

/** The bytes sent as a copy. The daemon does not read them before a restore. */
const PIECES = Array.from({ length: 4 }, () => Buffer.alloc(100_000, 'no store').toString('base64'));

/** A client that takes a copy of the store or sends one, and checks that a killed daemon's copies are cleaned up. */
export class Copier {
  readonly #directory: string;
  readonly #random: Random;
  readonly #breaches: Breaches = new Breaches();
  #taken = 0;
  #sent = 0;
  #leftovers = 0;

  /** @param state the state directory, below which copies lie while they are made */
  constructor(state: string, random: Random) {
    this.#directory = path.join(state, 'copies');
    this.#random = random;
  }

  /** Counts it if a killed daemon left files of a copy. */
  noteLeftovers(): void {
    if (this.#left > 0) this.#leftovers += 1;
  }

  async work(client: CredentialClient): Promise<void> {
    if (!this.#random.oneIn(LIVES_PER_COPY)) return;
    await pause(this.#random.below(BEFORE_MS));
    if (this.#random.oneIn(2)) {
      await sendCopy(client, PIECES);
      this.#sent += 1;
      return;
    }
    const { pieces, sha256 } = await takeCopy(client);
    const hash = createHash('sha256');
    for (const piece of pieces) hash.update(Buffer.from(piece, 'base64'));
    if (hash.digest('hex') !== sha256) this.#breaches.add('a copy is not what its hash is of');
    this.#taken += 1;
  }

  /** Returns what is wrong once the next daemon is ready. */
  verify(): string[] {
    return this.#left === 0 ? [] : [`${this.#left} files of copies are left`];
  }

  get outcome(): Outcome {
    return {
      what: '… and nothing is left of unfinished backups and uploads once the next daemon is ready',
      count: this.#leftovers,
      unit: 'kills',
      detail: `${this.#taken} copies were taken whole, ${this.#sent} sent`,
      broken: this.#breaches.sentences,
    };
  }

  get #left(): number {
    return existsSync(this.#directory) ? readdirSync(this.#directory).length : 0;
  }
}
