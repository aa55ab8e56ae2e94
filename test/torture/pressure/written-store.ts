import path from 'node:path';
import { ConnectionError, CredentialError } from '../../../client/index.ts';
import { BenchScope } from '../../bench/bench-scope.ts';
import type { Scope } from '../../support/scope.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { Writer } from '../crash/writer.ts';
import type { Random } from '../random.ts';
import { Victim } from './victim.ts';

const LISTED = 2000;
const PER_CALL = 500;

/** A store for one daemon after another, and a client that writes to it and knows what it must have. */
export class WrittenStore {
  readonly state: string;
  readonly writer: Writer;

  private constructor(state: string, random: Random) {
    this.state = state;
    this.writer = new Writer(0, random);
  }

  /** Makes a store with the values of {@link Victim.fill}, and enough names for a long list. */
  static async make(scope: Scope, random: Random): Promise<WrittenStore> {
    const store = new WrittenStore(path.join(temporaryDirectory(scope, 'cio-cage'), 'state'), random);
    await using life = new BenchScope();
    const victim = await Victim.start(life, [], store.state);
    await victim.fill();
    await using client = await victim.connect();
    for (let start = 0; start < LISTED; start += PER_CALL) {
      const credentials = Array.from({ length: PER_CALL }, (_, index) => ({
        name: `listed-${start + index}`,
        value: 'v'.repeat(100),
      }));
      await client.call('Create', { credentials });
    }
    return store;
  }

  /** Writes until the connection breaks or `signal` is aborted. Returns the code of a refused write. */
  async write(victim: Victim, signal: AbortSignal): Promise<string | undefined> {
    try {
      await using client = await victim.connect();
      signal.addEventListener('abort', () => client.close());
      return await this.writer.write(client);
    } catch (error) {
      if (error instanceof CredentialError) return error.code;
      if (!(error instanceof ConnectionError)) throw error;
      return undefined;
    }
  }

  /** Returns what is wrong with the store, according to a daemon without a memory limit. */
  async wrongs(): Promise<string[]> {
    await using scope = new BenchScope();
    const victim = await Victim.start(scope, [], this.state);
    await using client = await victim.connect();
    const { problems } = await client.call('Fsck', {});
    return [...problems.map(({ what, detail }) => `fsck: ${what} ${detail}`), ...(await this.writer.verify(client))];
  }
}
