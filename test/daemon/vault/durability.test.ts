import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import path from 'node:path';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import type { Space } from '../../../daemon/vault/records.ts';
import { Service } from '../../support/process.ts';
import { TestVault } from './open-vault.ts';

const WRITER = path.join(import.meta.dirname, 'writer-process.ts');
const KILLS = Number(process.env['CIO_TEST_KILLS'] ?? 15);
/** The most lines after which a writer is killed; it writes some hundreds of lines per second. */
const LINES_MAX = 90;

/** What the writers reported for one credential. */
interface Told {
  /** Versions whose write was acknowledged, and versions whose write was begun. */
  readonly saved: Set<number>;
  readonly begun: Set<number>;
  isRemoveBegun: boolean;
  isRemoved: boolean;
}

/**
 * Runs a writer until it has printed a random number of lines, and kills it then; the first writer not before its first
 * write was acknowledged. Returns the lines it printed.
 */
async function writeUntilKilled(t: TestContext, directory: string, round: number): Promise<string[]> {
  const writer = new Service(t, [process.execPath, WRITER, directory, `${round}`]);
  await writer.printed('ready\n');
  const lines = 1 + randomInt(LINES_MAX);
  const isEnough = (said: string): boolean =>
    said.split('\n').length >= lines && (round > 0 || said.includes('\ndone '));
  while (!isEnough(writer.output)) {
    assert.equal(writer.exit, undefined, writer.output);
    await writer.change();
  }
  await writer.stop('SIGKILL');
  // The last line may be cut off.
  return writer.output.split('\n').slice(0, -1);
}

class Ledger {
  readonly credentials: Map<string, Told> = new Map();
  /** Recovery codes by the ids of their slots. */
  readonly codes: Map<string, string> = new Map();
  readonly slotsRemoved: Set<string> = new Set();
  readonly slotRemovalsBegun: Set<string> = new Set();
  counter = 0;
  countersBegun = 0;
  epoch = 1;
  rekeysBegun = 0;

  note(line: string): void {
    const [state, what, name = '', version = ''] = line.split(' ');
    const isDone = state === 'done';
    if (what === 'save' && name === 'counter') {
      if (isDone) this.counter = Math.max(this.counter, Number(version));
      else this.countersBegun += 1;
    } else if (what === 'save') {
      const told = this.#of(name);
      (isDone ? told.saved : told.begun).add(Number(version));
    } else if (what === 'remove') {
      if (isDone) this.#of(name).isRemoved = true;
      else this.#of(name).isRemoveBegun = true;
    } else if (what === 'rekey') {
      if (isDone) this.epoch = Math.max(this.epoch, Number(name));
      else this.rekeysBegun += 1;
    } else if (what === 'slot' && isDone) {
      this.codes.set(name, version);
    } else if (what === 'unslot') {
      (isDone ? this.slotsRemoved : this.slotRemovalsBegun).add(name);
    }
  }

  #of(name: string): Told {
    let told = this.credentials.get(name);
    if (told === undefined) {
      told = { saved: new Set(), begun: new Set(), isRemoveBegun: false, isRemoved: false };
      this.credentials.set(name, told);
    }
    return told;
  }
}

describe('a store whose daemon is killed', () => {
  it(
    `has every acknowledged write, and each other write completely or not at all, after ${KILLS} kills`,
    { timeout: 8000 * KILLS },
    async (t) => {
      const made = await TestVault.create(t);
      await made.close();
      const ledger = new Ledger();
      for (let round = 0; round < KILLS; round += 1) {
        for (const line of await writeUntilKilled(t, made.directory, round)) ledger.note(line);
        const opened = await TestVault.open(t, made.directory);
        const { problems, digest } = await opened.fsck();
        assert.deepEqual(problems, []);
        assert.ok(digest.records > 3);
        for (const [name, told] of ledger.credentials) {
          const space: Space = name.endsWith('-u') ? 'uid:5' : 'system';
          const value = opened.value(name, undefined, space);
          if (told.isRemoved) {
            assert.equal(value, undefined, `${name} was removed`);
            continue;
          }
          if (value === undefined) {
            assert.ok(told.saved.size === 0 || told.isRemoveBegun, `${name} is gone`);
            continue;
          }
          const [, version = ''] = value.split(' ');
          assert.ok(told.begun.has(Number(version)), `${name}: ${value.slice(0, 40)}`);
          assert.ok(Number(version) >= Math.max(0, ...told.saved), `${name} is older than what was acknowledged`);
          assert.ok(value.startsWith(`${name} ${version} `));
        }
        const counter = opened.vault.read(
          (reader) => reader.credential('system', 'counter')?.versions.at(-1)?.version ?? 0,
        );
        assert.ok(counter >= ledger.counter && counter <= ledger.countersBegun, `${counter}, told ${ledger.counter}`);
        ledger.counter = counter;
        const { epoch } = opened.vault.unlocked().sealing;
        assert.ok(epoch >= ledger.epoch && epoch <= 1 + ledger.rekeysBegun, `${epoch}, told ${ledger.epoch}`);
        await opened.close();
      }
      assert.ok(ledger.credentials.size > KILLS);
      const last = await TestVault.openLocked(t, made.directory);
      const ids = new Set(last.vault.slots().map(({ id }) => id));
      for (const [id, code] of ledger.codes) {
        if (ledger.slotsRemoved.has(id)) assert.ok(!ids.has(id), 'a slot that was removed is there');
        if (ledger.slotRemovalsBegun.has(id)) continue;
        assert.equal((await last.slots.unlockWithRecoveryCode(code)).id, id);
        await last.vault.lock();
      }
      assert.ok(ledger.codes.size > 0);
    },
  );
});
