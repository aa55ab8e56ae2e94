import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Canaries } from '../../support/canary.ts';

const PAUSE_MS = 5;

/** Searches the arguments and the environment of every process on the machine, as often as possible. */
export class Sampler {
  readonly sightings: Set<string> = new Set();
  samples = 0;
  #isEnding = false;
  readonly #canaries: Canaries;
  readonly #looking: Promise<void>;

  constructor(canaries: Canaries) {
    this.#canaries = canaries;
    this.#looking = this.#look();
  }

  end(): Promise<void> {
    this.#isEnding = true;
    return this.#looking;
  }

  async #look(): Promise<void> {
    while (!this.#isEnding) {
      for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
        for (const file of ['cmdline', 'environ']) {
          for (const { secret, form } of this.#canaries.findIn(file, read(`/proc/${pid}/${file}`))) {
            this.sightings.add(`${secret} (${form}) in ${file} of ${read(`/proc/${pid}/comm`).toString().trim()}`);
          }
        }
      }
      this.samples += 1;
      await sleep(PAUSE_MS);
    }
  }
}

/** Reads a file of a process; empty if the process has ended. */
function read(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch {
    return Buffer.alloc(0);
  }
}
