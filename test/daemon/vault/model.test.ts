import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { removeCredentials, saveVersion } from '../../../daemon/methods/save-version.ts';
import { KIND } from '../../../daemon/store/sealed-store.ts';
import { INLINE_BYTES_MAX, decodeNames } from '../../../daemon/vault/records.ts';
import type { Space } from '../../../daemon/vault/records.ts';
import type { VaultReader } from '../../../daemon/vault/reader.ts';
import type { VaultWriter } from '../../../daemon/vault/transaction.ts';
import { VERSIONS_KEPT } from '../../../daemon/methods/save-version.ts';
import { FIELD_IDS } from '../../../src/providers/registry.ts';
import { memberName } from '../../../src/sets.ts';
import type { Scope } from '../../support/scope.ts';
import { Random } from '../../torture/random.ts';
import { NOW, TestVault } from './open-vault.ts';
import { deleteRow, putRow, rowsOf } from './raw-file.ts';
import type { Row } from './raw-file.ts';

const STEPS = 60;
const SPACES: readonly Space[] = ['system', 'uid:5'];
const NAMES = [
  ...Array.from({ length: 8 }, (_, index) => `n${index}`),
  ...FIELD_IDS.slice(0, 2).map((f) => memberName('s', f)),
];
const SIZES = [1, 100, INLINE_BYTES_MAX - 1, INLINE_BYTES_MAX, INLINE_BYTES_MAX + 1, 5000];

/** The expected content: for each space and name, the kept versions, oldest first. */
type Model = ReadonlyMap<string, readonly { readonly version: number; readonly value: string }[]>;

class Dropped extends Error {}

/** A store that random operations change in random order, and the content it is expected to have. */
class Modelled {
  opened: TestVault;
  model: Model = new Map();
  /** Every value that was ever stored, by place. */
  readonly ever: Map<string, Set<string>> = new Map();
  readonly random: Random;
  #values = 0;

  constructor(opened: TestVault, seed: number) {
    this.opened = opened;
    this.random = new Random(seed);
  }

  /** Runs some calls in one commit, some of which fail after they have changed something. */
  async commit(): Promise<void> {
    const calls = Array.from({ length: 1 + this.random.below(6) }, () =>
      this.opened.vault.write((writer) => {
        let next = this.model;
        for (let left = 1 + this.random.below(3); left > 0; left -= 1) next = this.#change(writer, next);
        this.compare(writer, next);
        if (this.random.oneIn(4)) throw new Dropped();
        this.model = next;
      }),
    );
    for (const { status, reason } of (await Promise.allSettled(calls)) as { status: string; reason?: unknown }[]) {
      if (status === 'rejected') assert.ok(reason instanceof Dropped, String(reason));
    }
  }

  #change(writer: VaultWriter, model: Model): Model {
    const [space, name] = [this.random.pick(SPACES), this.random.pick(NAMES)];
    const place = `${space}/${name}`;
    const existing = writer.credential(space, name);
    const old = model.get(place) ?? [];
    if (existing !== undefined && this.random.oneIn(4)) {
      removeCredentials(writer, space, [existing]);
      return new Map([...model].filter(([other]) => other !== place));
    }
    const restored = existing !== undefined && this.random.oneIn(4) ? this.random.pick(old) : undefined;
    const value = restored?.value ?? `${place} ${(this.#values += 1)} `.padEnd(this.random.pick(SIZES), '.');
    const bytes = restored && existing ? writer.value(existing, restored.version) : Buffer.from(value);
    assert.equal(Buffer.from(bytes).toString(), value);
    const version = saveVersion(writer, { space, name, existing, value: bytes, changed: NOW, changedBy: 0 });
    assert.equal(version, (old.at(-1)?.version ?? 0) + 1);
    this.ever.set(place, (this.ever.get(place) ?? new Set()).add(value));
    return new Map([...model, [place, [...old, { version, value }].slice(-VERSIONS_KEPT)]]);
  }

  /** Reads every version, and the current one often enough that the daemon keeps it decrypted. */
  compare(reader: VaultReader, model: Model = this.model): void {
    for (const space of SPACES) {
      for (const name of NAMES) {
        const wanted = model.get(`${space}/${name}`) ?? [];
        const record = reader.credential(space, name);
        assert.deepEqual(
          record?.versions.map(({ version }) => version) ?? [],
          wanted.map(({ version }) => version),
        );
        for (const { version, value } of [...wanted, ...wanted.slice(-1), ...wanted.slice(-1)]) {
          assert.equal(record && Buffer.from(reader.value(record, version)).toString(), value);
        }
      }
    }
  }

  /** Compares the lists of names and the counts and sizes per user with the model. */
  compareLists(): void {
    const { vault, path } = this.opened;
    const listed = new Map<string, string>();
    for (const { tag, body } of rowsOf(path, KIND.names)) {
      const { id, names } = decodeNames(vault.unlocked().sealing.open(KIND.names, tag, body) ?? assert.fail());
      assert.ok(names.length > 0);
      for (const name of names) listed.set(name, id);
    }
    vault.read((reader) => {
      for (const space of SPACES) {
        const own = [...this.model].filter(([place]) => place.startsWith(`${space}/`));
        const names = own.map(([place]) => place.slice(space.length + 1)).toSorted();
        const principal = reader.principal(space);
        assert.equal(principal?.count ?? 0, own.length);
        if (space === 'system') {
          assert.deepEqual([...listed.keys()].toSorted(), names);
          for (const name of names) assert.equal(reader.credential(space, name)?.listed, listed.get(name));
        } else {
          const bytes = own.flatMap(([, versions]) => versions).reduce((sum, { value }) => sum + value.length, 0);
          assert.deepEqual(principal?.names.toSorted() ?? [], names);
          assert.equal(principal?.bytes ?? 0, bytes);
        }
      }
    });
  }

  /** Makes the current content of the store the expected one. */
  follow(): void {
    const model = new Map<string, { version: number; value: string }[]>();
    this.opened.vault.read((reader) => {
      for (const place of this.#places()) {
        const record = reader.credential(...place);
        const valueOf = (version: number): string =>
          Buffer.from((record && reader.value(record, version)) ?? []).toString();
        const versions = record?.versions.map(({ version }) => ({ version, value: valueOf(version) }));
        if (versions !== undefined) model.set(place.join('/'), versions);
      }
    });
    this.model = model;
  }

  #places(): (readonly [Space, string])[] {
    return SPACES.flatMap((space) => NAMES.map((name) => [space, name] as const));
  }
}

async function start(scope: Scope, seed: number): Promise<Modelled> {
  return new Modelled(await TestVault.create(scope), seed);
}

describe('a store', () => {
  for (let seed = 1; seed <= 4; seed += 1) {
    it(`has the expected content whatever is done in whatever order (seed ${seed})`, async (t) => {
      const one = await start(t, seed);
      for (let step = 0; step < STEPS; step += 1) {
        await one.commit();
        const next = one.random.below(12);
        if (next === 0) one.opened = await one.opened.reopened();
        if (next === 1) await one.opened.rekey();
        if (next === 2) assert.deepEqual((await one.opened.repair()).problems, []);
        for (let reads = 0; reads < 2; reads += 1) one.opened.vault.read((reader) => one.compare(reader));
        one.compareLists();
      }
      assert.deepEqual((await one.opened.fsck()).problems, []);
    });

    it(`is repaired after any one row is put back, deleted or damaged, and keeps all other credentials (seed ${seed})`, async (t) => {
      const one = await start(t, seed);
      const history = new Map<string, Row>();
      for (let step = 0; step < STEPS; step += 1) {
        await one.commit();
        const rows = rowsOf(one.opened.path).filter(({ kind }) => kind >= KIND.principal);
        const present = new Set(rows.map(({ body }) => body.toString('latin1')));
        for (const row of rows) history.set(row.body.toString('latin1'), row);
        const older = [...history].filter(([body]) => !present.has(body)).map(([, row]) => row);
        if (step % 4 !== 3 || older.length === 0) continue;

        const how = one.random.pick(['put', 'delete', 'flip'] as const);
        const of = how === 'put' ? older : rows;
        const kind = one.random.pick([...new Set(of.map((row) => row.kind))]);
        const row = one.random.pick(of.filter((other) => other.kind === kind));
        const flipped = Buffer.from(row.body);
        const at = one.random.below(flipped.length);
        flipped.writeUInt8(flipped.readUInt8(at) ^ 1, at);
        one.opened = await one.opened.tampered((database) => {
          if (how === 'delete') deleteRow(database, row);
          else putRow(database, how === 'put' ? row : { ...row, body: flipped });
        });
        const what = `${how} of kind ${kind}`;
        assert.notDeepEqual((await one.opened.repair()).problems, [], what);
        assert.deepEqual((await one.opened.fsck()).problems, [], what);

        const before = one.model;
        one.follow();
        const changed = [...new Set([...before.keys(), ...one.model.keys()])].filter(
          (place) => JSON.stringify(before.get(place)) !== JSON.stringify(one.model.get(place)),
        );
        assert.ok(changed.length <= 1, `${what}: ${changed.join()}`);
        for (const place of changed) {
          const [was, is] = [before.get(place)?.at(-1)?.value, one.model.get(place)?.at(-1)?.value];
          if (was === undefined) assert.equal(is, undefined, what);
          if (is !== undefined) assert.ok(one.ever.get(place)?.has(is));
          // If a user's credential was removed and made again, its older record has no trace of the newer one.
          if (is !== undefined && was !== undefined && place.startsWith('system/')) assert.equal(is, was, what);
        }
        one.compareLists();
      }
    });
  }
});
