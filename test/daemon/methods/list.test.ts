import assert from 'node:assert/strict';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, it } from 'node:test';
import type { Reply } from '../../../daemon/dispatch.ts';
import { Emitter } from '../../../daemon/emitter.ts';
import { MESSAGE_BYTES_MAX } from '../../../src/limits.ts';
import type { ListIn, ListOut } from '../../../src/protocol/interface.generated.ts';
import { ALICE, BOB, RESTIC, ROOT, START_TIME, restartCore, startCore } from '../core.ts';
import type { Core, Person } from '../core.ts';
import { VALUE_IN_OWN_RECORD, flipBit, newTags, recordsIn } from '../damage.ts';
import { restore, takeCopy } from './copies.ts';

const LIST = 'io.cio.Credentials.List';

/** A UUID that no set has. */
const NO_UUID = '0191e1f0-7c3a-5000-8000-00000000000a';

async function names(core: Core, person: Person, parameters: ListIn = {}): Promise<string[]> {
  return (await core.ask(person, 'List', parameters)).credentials.map(({ name }) => name).toSorted();
}

async function batches(core: Core, person: Person, parameters: ListIn = {}): Promise<ListOut[]> {
  const replies = await core.send(person, { method: LIST, parameters, more: true });
  assert.deepEqual(
    replies.map(({ continues }) => continues),
    replies.map((_, index) => (index < replies.length - 1 ? true : undefined)),
  );
  return replies.map(({ parameters }) => parameters as ListOut);
}

describe('List', () => {
  it('does not watch for changes: a thousand slow readers would each remember every change', async (t) => {
    const core = await startCore(t);
    await core.create(ALICE, ...Array.from({ length: 600 }, (_, index) => `name-${index}`));
    const watch = t.mock.method(core.vault, 'watch');
    const message = { method: 'io.cio.Credentials.List', parameters: {}, more: true };
    const lists = Array.from({ length: 3 }, () => core.dispatch(core.caller(ALICE), message));
    for (const answer of lists) {
      assert.ok(answer !== undefined && Symbol.asyncIterator in answer);
      assert.equal((await answer.next()).value?.continues, true);
      t.after(() => answer.return());
    }
    assert.equal(watch.mock.callCount(), 0);
  });

  it('takes turns by user: a hundred calls of one user do not delay everyone else', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, ...Array.from({ length: 600 }, (_, index) => `name-${index}`));
    await core.create(ALICE, 'own');
    let answered = 0;
    const crowd = Array.from({ length: 100 }, async () => {
      await core.ask(ALICE, 'List', {});
      answered += 1;
    });
    assert.equal((await core.ask(ROOT, 'List', {})).credentials.length, 600);
    assert.ok(answered < 50, `${answered} of the others’ came first`);
    await Promise.all(crowd);
  });

  it('reads nothing for more than four calls of a user at a time, and other users do not wait for them', async (t) => {
    const core = await startCore(t);
    for (const person of [ALICE, BOB])
      await core.create(person, ...Array.from({ length: 600 }, (_, index) => `name-${index}`));
    const begin = (person: Person): AsyncGenerator<Reply> => {
      const answer = core.dispatch(core.caller(person), { method: LIST, parameters: {}, more: true });
      assert.ok(answer !== undefined && Symbol.asyncIterator in answer);
      t.after(() => answer.return());
      return answer;
    };
    const [first, ...others] = Array.from({ length: 4 }, () => begin(ALICE));
    assert.ok(first !== undefined);
    for (const answer of [first, ...others]) assert.equal((await answer.next()).value?.continues, true);
    let isAnswered = false;
    const whole = core.ask(ALICE, 'List', {}).then(({ credentials }) => {
      isAnswered = true;
      return credentials;
    });
    assert.equal((await core.ask(BOB, 'List', {})).credentials.length, 600);
    assert.equal((await core.ask(ROOT, 'List', { owner: ALICE.uid })).credentials.length, 600);
    assert.equal(isAnswered, false);
    // A search does not wait for a list: a client may search while it reads one.
    assert.deepEqual(await core.refusal(ALICE, 'GetSet', { set: NO_UUID }), ['NotFound', { name: NO_UUID }]);
    assert.equal(isAnswered, false);
    await first.return(undefined);
    assert.equal((await whole).length, 600);
  });

  it('ends when the caller has left, also while it waits', async (t) => {
    const core = await startCore(t);
    await core.create(ALICE, ...Array.from({ length: 1000 }, (_, index) => `name-${index}`));
    const gone = new Emitter();
    const message = { method: LIST, parameters: {} };
    const answers = Array.from({ length: 100 }, () => core.dispatch(core.caller(ALICE), message, gone.subscribe));
    await nextTurn();
    gone.fire();
    core.store.reads.length = 0;
    const replies = await Promise.all(answers.map((answer) => answer as Promise<Reply>));
    assert.ok(replies.every(({ error }) => error === 'io.cio.Credentials.Busy'));
    assert.deepEqual(core.store.reads, []);
    assert.equal((await core.ask(ALICE, 'List', {})).credentials.length, 1000);
  });

  it('keeps every reply below the limit of a message, however much was granted', async (t) => {
    const core = await startCore(t);
    const grantees = Array.from({ length: 1000 }, (_, index) => ({ unit: `${index}-`.padEnd(247, 'x') + '.service' }));
    const sets = Array.from({ length: 20 }, (_, index) => `aws_${index}`);
    const targets = [...sets, ...sets.map((set) => `cio_${set}_region`)];
    await core.create(ROOT, ...sets.map((set) => ({ name: `cio_${set}_region`, value: 'eu-west-1' })));
    for (const target of targets) await core.ask(ROOT, 'Grant', { target, grantees });
    const replies = await batches(core, ROOT);
    const sizes = replies.map((reply) => JSON.stringify(reply).length);
    assert.ok(sizes.reduce((sum, size) => sum + size) > MESSAGE_BYTES_MAX);
    for (const size of sizes) assert.ok(size < MESSAGE_BYTES_MAX / 4, `a reply of ${size} bytes`);
    assert.equal(replies.flatMap(({ credentials }) => credentials).length, sets.length);
    assert.equal(replies.flatMap((reply) => reply.sets).length, sets.length);
  });

  it('returns nothing for an empty store, in one reply', async (t) => {
    const core = await startCore(t);
    const nothing = { credentials: [], sets: [], damaged: 0 };
    for (const person of [ROOT, ALICE]) {
      assert.deepEqual(await core.ask(person, 'List', {}), nothing);
      assert.deepEqual(await batches(core, person), [nothing]);
    }
  });

  it('returns everything about a credential but its secret', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, 'token');
    core.now += 5000;
    await core.replace(ROOT, 'token', 'four');
    assert.deepEqual(await core.ask(ROOT, 'List', {}), {
      credentials: [
        {
          name: 'token',
          owner: 0,
          createdBy: 0,
          version: 2,
          generation: 2,
          created: START_TIME,
          changed: START_TIME + 5000,
          size: 4,
          writable: true,
          grants: [],
        },
      ],
      sets: [],
      damaged: 0,
    });
  });

  it('shows the values of public fields, and never those of secret ones', async (t) => {
    const core = await startCore(t);
    await core.create(
      ROOT,
      ...['backup_repo', 'access_key', 'secret_key', 'backup_password', 'region', 'session_token'].map(
        (f) => `cio_aws_${f}`,
      ),
      'cio_offsite_provider',
      'cio_offsite_secret_key',
      'token',
      'aws_access_key',
    );
    const { credentials } = await core.ask(ROOT, 'List', {});
    const shown = Object.fromEntries(
      credentials.flatMap(({ name, value }) => (typeof value !== 'string' ? [] : [[name, value]])),
    );
    assert.deepEqual(shown, {
      cio_aws_backup_repo: 's3:https://s3.amazonaws.com/backup-123',
      cio_aws_access_key: 'value-of-cio_aws_access_key',
      cio_aws_region: 'value-of-cio_aws_region',
      cio_offsite_provider: 's3',
    });
  });

  it('leaves out a very long public value', async (t) => {
    const core = await startCore(t);
    const pem = '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n';
    const chain = pem.repeat(Math.ceil(4097 / pem.length));
    await core.create(ROOT, { name: 'cio_aws_endpoint_ca', value: pem }, { name: 'cio_gcs_endpoint_ca', value: chain });
    const { credentials } = await core.ask(ROOT, 'List', {});
    const shown = new Map(credentials.map(({ name, value, size }) => [name, [value ?? undefined, size]]));
    assert.deepEqual(shown.get('cio_aws_endpoint_ca'), [pem, pem.length]);
    assert.deepEqual(shown.get('cio_gcs_endpoint_ca'), [undefined, chain.length]);
  });

  it('returns for each set its fields, the missing ones, and its last change', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, 'cio_aws_access_key', 'cio_aws_region');
    core.now += 1000;
    await core.create(ROOT, 'cio_aws_secret_key', 'cio_minio_alt_access_key');
    const { sets } = await core.ask(ROOT, 'List', {});
    const aws = sets.find(({ set }) => set === 'aws') ?? assert.fail();
    const { uuid } = await core.ask(ROOT, 'GetSet', { set: 'aws', allowIncomplete: true });
    assert.deepEqual(
      { ...aws, fields: aws.fields.toSorted() },
      {
        set: 'aws',
        uuid,
        owner: 0,
        provider: 'aws',
        ready: false,
        missing: ['backup_repo', 'backup_password'],
        fields: ['access_key', 'region', 'secret_key'],
        generation: 2,
        changed: START_TIME + 1000,
        health: { state: 'unproved' },
        grants: [],
      },
    );
    assert.deepEqual(sets.map(({ set }) => set).toSorted(), ['aws', 'minio_alt']);
  });

  it('is refused while the store is locked', async (t) => {
    const core = await startCore(t);
    await core.ask(ROOT, 'Lock', {});
    for (const person of [ROOT, ALICE]) {
      assert.deepEqual(await core.refusal(person, 'List', {}), ['Locked', {}]);
      assert.deepEqual(await core.send(person, { method: LIST, more: true }), [
        { error: 'io.cio.Credentials.Locked', parameters: {} },
      ]);
    }
  });
});

describe('List: patterns', () => {
  const all = ['cio_aws_access_key', 'cio_aws_alt_access_key', 'cio_minio_access_key', 'token', 'token-2', 'x.y'];
  for (const [patterns, expected] of [
    [[], all],
    [['token'], ['token']],
    [['*'], all],
    [['token*'], ['token', 'token-2']],
    [['token?2'], ['token-2']],
    [['*_aws_*'], ['cio_aws_access_key', 'cio_aws_alt_access_key']],
    [['aws'], ['cio_aws_access_key']],
    [['alt_aws'], ['cio_aws_alt_access_key']],
    [['cio_alt_aws_access_key'], ['cio_aws_alt_access_key']],
    [['x?y'], ['x.y']],
    [
      ['x.y', 'minio', 'token', 'tok*'],
      ['cio_minio_access_key', 'token', 'token-2', 'x.y'],
    ],
    [['none'], []],
    [[''], []],
    [['TOKEN', '[t]oken', 'tok', 'oken', '(', '.*'], []],
  ] as const) {
    it(`${JSON.stringify(patterns)} match ${expected.length === all.length ? 'everything' : expected.join(', ') || 'nothing'}`, async (t) => {
      const core = await startCore(t);
      await core.create(ROOT, ...all);
      await core.create(ALICE, ...all);
      for (const person of [ROOT, ALICE]) assert.deepEqual(await names(core, person, { patterns }), expected);
    });
  }

  it('a UUID matches its set, of its owner', async (t) => {
    const core = await startCore(t);
    for (const person of [ROOT, ALICE]) await core.create(person, 'cio_aws_access_key', 'cio_minio_access_key');
    const { sets } = await core.ask(ALICE, 'List', { patterns: ['aws'] });
    const uuid = sets[0]?.uuid ?? '';
    assert.deepEqual(await names(core, ALICE, { patterns: [uuid.toUpperCase()] }), ['cio_aws_access_key']);
    assert.deepEqual(await names(core, ROOT, { patterns: [uuid] }), []);
    assert.deepEqual(await names(core, ROOT, { patterns: [uuid], allOwners: true }), ['cio_aws_access_key']);
  });

  it('list the complete sets of all matches', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, 'cio_aws_access_key', 'cio_aws_secret_key', 'cio_minio_access_key');
    const { credentials, sets } = await core.ask(ROOT, 'List', { patterns: ['*aws_secret*'] });
    assert.deepEqual(
      credentials.map(({ name }) => name),
      ['cio_aws_secret_key'],
    );
    assert.deepEqual(
      sets.map(({ set, fields }) => [set, fields.toSorted()]),
      [['aws', ['access_key', 'secret_key']]],
    );
  });

  it('are refused if more than 100, or if one is longer than any name', async (t) => {
    const core = await startCore(t);
    for (const person of [ROOT, ALICE]) {
      assert.deepEqual(await core.refusal(person, 'List', { patterns: Array.from({ length: 101 }, () => 'x') }), [
        'TooLarge',
        { limit: 100 },
      ]);
      assert.deepEqual(await core.refusal(person, 'List', { patterns: ['*'.repeat(129)] }), [
        'InvalidName',
        { name: '', reason: 'a pattern is longer than 128 characters' },
      ]);
      await core.ask(person, 'List', { patterns: Array.from({ length: 100 }, () => '*'.repeat(128)) });
      await core.ask(person, 'List', { patterns: Array.from({ length: 100 }, () => 'x'.repeat(128)) });
    }
  });

  it('are refused if globs have more than 4096 characters, as they would take long', async (t) => {
    const core = await startCore(t);
    const globs = Array.from({ length: 32 }, () => `*${'?'.repeat(126)}x`);
    assert.deepEqual(await core.refusal(ALICE, 'List', { patterns: [...globs, '*x'] }), ['TooLarge', { limit: 4096 }]);
    await core.ask(ALICE, 'List', { patterns: [...globs, 'x'] });
  });
});

describe('List: owners', () => {
  it('shows an administrator the shared space, or on request that of one owner or of all', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, 'shared');
    await core.create(ALICE, 'alices');
    await core.create(BOB, 'bobs');
    for (const person of [ROOT, { uid: 2000 }]) {
      assert.deepEqual(await names(core, person), ['shared']);
      assert.deepEqual(await names(core, person, { owner: 0 }), ['shared']);
      assert.deepEqual(await names(core, person, { owner: ALICE.uid }), ['alices']);
      assert.deepEqual(await names(core, person, { owner: 4242 }), []);
      assert.deepEqual(await names(core, person, { allOwners: true }), ['alices', 'bobs', 'shared']);
      assert.deepEqual(await names(core, person, { allOwners: true, owner: BOB.uid }), ['bobs']);
    }
  });

  it('shows a user their own space and everything granted to them', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, 'shared', 'hidden', 'cio_aws_access_key', 'cio_aws_secret_key', 'cio_minio_access_key');
    await core.create(BOB, 'bobs', 'hidden-2');
    await core.create(ALICE, 'alices');
    await core.ask(ROOT, 'Grant', { target: 'shared', grantees: [{ uid: ALICE.uid }] });
    await core.ask(ROOT, 'Grant', { target: 'aws', grantees: [{ gid: ALICE.uid }] });
    await core.ask(BOB, 'Grant', { target: 'bobs', grantees: [{ uid: ALICE.uid }, { gid: ALICE.uid }] });
    const { credentials, sets, damaged } = await core.ask(ALICE, 'List', {});
    assert.deepEqual(
      credentials
        .map(({ name, owner, writable, grants }) => ({ name, owner, writable, grants }))
        .toSorted((a, b) => (a.name < b.name ? -1 : 1)),
      [
        { name: 'alices', owner: ALICE.uid, writable: true, grants: [] },
        { name: 'bobs', owner: BOB.uid, writable: false, grants: undefined },
        { name: 'cio_aws_access_key', owner: 0, writable: false, grants: undefined },
        { name: 'cio_aws_secret_key', owner: 0, writable: false, grants: undefined },
        { name: 'shared', owner: 0, writable: false, grants: undefined },
      ],
    );
    assert.deepEqual(
      sets.map(({ set, owner, grants }) => [set, owner, grants]),
      [['aws', 0, undefined]],
    );
    assert.equal(damaged, 0);
    assert.deepEqual(await names(core, ALICE, { owner: 0 }), ['cio_aws_access_key', 'cio_aws_secret_key', 'shared']);
    assert.deepEqual(await names(core, ALICE, { owner: BOB.uid }), ['bobs']);
    assert.deepEqual(await names(core, ALICE, { owner: ALICE.uid }), ['alices']);
  });

  it('shows a grantee of one field its set with that field only', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, 'cio_aws_access_key', 'cio_aws_secret_key');
    await core.ask(ROOT, 'Grant', { target: 'cio_aws_access_key', grantees: [{ unit: 'restic.service' }] });
    await core.replace(ROOT, 'cio_aws_secret_key', 'rotated');
    const { credentials, sets } = await core.ask(RESTIC, 'List', {});
    assert.deepEqual(
      credentials.map(({ name }) => name),
      ['cio_aws_access_key'],
    );
    assert.deepEqual(
      sets.map(({ fields, generation }) => [fields, generation]),
      [[['access_key'], 1]],
    );
  });

  it('shows the grantees of a credential or set to those who may change it', async (t) => {
    const core = await startCore(t);
    await core.create(ALICE, 'cio_aws_access_key', 'token');
    await core.ask(ALICE, 'Grant', { target: 'token', grantees: [{ uid: BOB.uid }, { unit: 'restic@.service' }] });
    await core.ask(ALICE, 'Grant', { target: 'aws', grantees: [{ gid: 7 }] });
    for (const [person, parameters] of [
      [ALICE, {}],
      [ROOT, { owner: ALICE.uid }],
    ] as const) {
      const { credentials, sets } = await core.ask(person, 'List', parameters);
      const token = credentials.find(({ name }) => name === 'token');
      assert.deepEqual(token?.grants, [{ uid: BOB.uid }, { unit: 'restic@.service' }]);
      assert.deepEqual(
        sets.map(({ grants }) => grants),
        [[{ gid: 7 }]],
      );
    }
  });

  it('refuses allOwners to anyone but administrators', async (t) => {
    const core = await startCore(t);
    const denied = ['AccessDenied', { right: 'administer' }];
    assert.deepEqual(await core.refusal(ALICE, 'List', { allOwners: true }), denied);
    assert.deepEqual(await core.refusal(RESTIC, 'List', { allOwners: true, owner: RESTIC.uid }), denied);
    assert.deepEqual(await names(core, ALICE, { allOwners: false }), []);
  });

  it('refuses an owner that is not a uid', async (t) => {
    const core = await startCore(t);
    for (const person of [ROOT, ALICE]) {
      assert.equal((await core.refusal(person, 'List', { owner: -1 }))[0], 'InvalidName');
    }
  });
});

describe('List: batches', () => {
  /** More than two batches of credentials, and of sets. */
  async function largeCore(t: Parameters<typeof startCore>[0]): Promise<{ core: Core; all: string[] }> {
    const core = await startCore(t);
    const all = Array.from({ length: 600 }, (_, index) => `cio_s3_${index}_region`);
    await core.create(ROOT, ...all);
    return { core, all: all.toSorted() };
  }

  it('return every credential once and every set once, with more', async (t) => {
    const { core, all } = await largeCore(t);
    const replies = await batches(core, ROOT);
    assert.ok(replies.length > 4);
    assert.deepEqual(replies.flatMap(({ credentials }) => credentials.map(({ name }) => name)).toSorted(), all);
    assert.equal(new Set(replies.flatMap(({ sets }) => sets.map(({ set }) => set))).size, all.length);
    assert.equal(replies.flatMap(({ sets }) => sets).length, all.length);
    for (const { credentials, sets } of replies) assert.ok(credentials.length <= 250 && sets.length <= 250);
  });

  it('are merged into one reply without more', async (t) => {
    const { core } = await largeCore(t);
    const replies = await batches(core, ROOT);
    const whole = await core.ask(ROOT, 'List', {});
    assert.deepEqual(
      whole.credentials,
      replies.flatMap(({ credentials }) => credentials),
    );
    assert.deepEqual(
      whole.sets,
      replies.flatMap(({ sets }) => sets),
    );
  });

  it('are TooLarge without more if they exceed one message, and complete with more', async (t) => {
    const core = await startCore(t);
    const count = Math.ceil(MESSAGE_BYTES_MAX / 4096) + 1;
    for (let start = 0; start < count; start += 500) {
      await core.ask(ROOT, 'Create', {
        credentials: Array.from({ length: Math.min(500, count - start) }, (_, index) => ({
          name: `cio_s3_${start + index}_access_key`,
          value: 'x'.repeat(4096),
        })),
      });
    }
    assert.deepEqual(await core.refusal(ROOT, 'List', {}), ['TooLarge', { limit: MESSAGE_BYTES_MAX }]);
    const replies = await batches(core, ROOT);
    assert.equal(replies.flatMap(({ credentials }) => credentials).length, count);
    for (const reply of replies) assert.ok(JSON.stringify(reply).length < MESSAGE_BYTES_MAX);
  });

  it('go on while credentials are made, changed and removed', async (t) => {
    const { core, all } = await largeCore(t);
    const answer = core.dispatch(core.caller(ROOT), { method: LIST, more: true });
    assert.ok(answer !== undefined && Symbol.asyncIterator in answer);
    const seen: string[] = [];
    let rounds = 0;
    for await (const { error, parameters } of answer) {
      assert.equal(error, undefined);
      seen.push(...(parameters as ListOut).credentials.map(({ name }) => name));
      await core.ask(ROOT, 'Remove', { names: all.splice(0, 50) });
      rounds += 1;
      await core.create(ROOT, `new-${rounds}`);
    }
    for (const name of all) assert.ok(seen.includes(name), `${name} was there all the time`);
    assert.equal(new Set(seen).size, seen.length, 'none is given twice');
  });

  it('show the consistent state of a credential at one time, even if it changes after it was read', async (t) => {
    const core = await startCore(t);
    const names = Array.from({ length: 240 }, (_, index) => `name-${index}-${'a'.repeat(100)}`);
    await core.create(ROOT, ...names);
    // Every name is read long before it is matched.
    const slow = Array.from({ length: 35 }, (_, index) => `${'*a'.repeat(50)}${index}b`);
    let isListed = false;
    const listing = batches(core, ROOT, { patterns: [...slow, 'name-*'] }).finally(() => {
      isListed = true;
    });
    let changed = 0;
    for (const name of names) {
      if (isListed) break;
      await core.ask(ROOT, 'Remove', { names: [name] });
      await core.ask(ROOT, 'Grant', { target: name, grantees: [{ unit: 'restic.service', missing: 'block' }] });
      changed += 1;
    }
    const told = (await listing).flatMap(({ credentials }) => credentials);
    assert.ok(changed > 0 && told.length > 0);
    // No credential had a grant while it existed.
    for (const { name, grants } of told) assert.deepEqual(grants, [], name);
  });

  for (const person of [ROOT, ALICE]) {
    it(`skip no set that existed all the time, even if its fields changed (uid ${person.uid})`, async (t) => {
      const core = await startCore(t);
      await core.create(person, ...Array.from({ length: 600 }, (_, index) => `cio_s3_${index}_region`));
      const answer = core.dispatch(core.caller(person), { method: LIST, more: true });
      assert.ok(answer !== undefined && Symbol.asyncIterator in answer);
      const replies: ListOut[] = [];
      for await (const { parameters } of answer) {
        replies.push(parameters as ListOut);
        if (replies.length > 1) continue;
        const seen = new Set(replies[0]?.credentials.map(({ name }) => name));
        const later = Array.from({ length: 600 }, (_, index) => index).filter((i) => !seen.has(`cio_s3_${i}_region`));
        for (const index of later.slice(0, 20)) {
          await core.create(person, `cio_s3_${index}_bucket`);
          await core.ask(person, 'Remove', { names: [`cio_s3_${index}_region`] });
        }
      }
      const sets = replies.flatMap((reply) => reply.sets);
      assert.equal(new Set(sets.map(({ set }) => set)).size, 600);
      assert.equal(sets.length, 600);
      const given = replies.flatMap(({ credentials }) => credentials.map(({ name }) => name));
      assert.equal(new Set(given).size, given.length, 'none is given twice');
      for (const { credentials, sets: described } of replies)
        assert.ok(credentials.length <= 250 && described.length <= 250);
    });
  }

  for (const comes of ['first', 'last'] as const) {
    it(`skip no set that was readable all the time, even if through another field (granted ${comes})`, async (t) => {
      const core = await startCore(t);
      const others = Array.from({ length: 300 }, (_, index) => `name-${index}`);
      await core.create(ROOT, 'cio_aws_access_key', 'cio_aws_region', ...others);
      const grantees = [{ uid: ALICE.uid }];
      const targets = comes === 'first' ? ['cio_aws_access_key', ...others] : [...others, 'cio_aws_access_key'];
      for (const target of targets) await core.ask(ROOT, 'Grant', { target, grantees });
      const answer = core.dispatch(core.caller(ALICE), { method: LIST, more: true });
      assert.ok(answer !== undefined && Symbol.asyncIterator in answer);
      const replies: ListOut[] = [];
      for await (const { parameters } of answer) {
        if (replies.length === 0) {
          await core.ask(ROOT, 'Grant', { target: 'cio_aws_region', grantees });
          await core.ask(ROOT, 'Revoke', { target: 'cio_aws_access_key', grantees });
        }
        replies.push(parameters as ListOut);
      }
      assert.deepEqual(
        replies.flatMap(({ sets }) => sets.map(({ set, fields }) => [set, fields])),
        [['aws', ['region']]],
      );
    });
  }

  for (const person of [ROOT, ALICE]) {
    it(`end with Busy if a copy is restored meanwhile (uid ${person.uid})`, async (t) => {
      const core = await startCore(t);
      await core.create(person, ...Array.from({ length: 600 }, (_, index) => `name-${index}`));
      const { bytes } = await takeCopy(core);
      await core.create(person, 'later');
      const answer = core.dispatch(core.caller(person), { method: LIST, more: true });
      assert.ok(answer !== undefined && Symbol.asyncIterator in answer);
      const replies = [(await answer.next()).value];
      await restore(core, bytes);
      for await (const reply of answer) replies.push(reply);
      assert.deepEqual(replies.at(-1), { error: 'io.cio.Credentials.Busy', parameters: {} });
    });
  }

  it('end with Locked if the store is locked meanwhile', async (t) => {
    const { core } = await largeCore(t);
    const answer = core.dispatch(core.caller(ROOT), { method: LIST, more: true });
    assert.ok(answer !== undefined && Symbol.asyncIterator in answer);
    const replies = [(await answer.next()).value];
    await core.ask(ROOT, 'Lock', {});
    for await (const reply of answer) replies.push(reply);
    assert.deepEqual(replies.at(-1), { error: 'io.cio.Credentials.Locked', parameters: {} });
  });

  it('let others have turns while many names do not match', async (t) => {
    const core = await startCore(t);
    const credentials = Array.from({ length: 1000 }, (_, index) => ({
      name: `${'a'.repeat(120)}${index}`,
      value: 'x',
    }));
    await core.ask(ALICE, 'Create', { credentials });
    let turns = 0;
    const done = new AbortController();
    const listed = core
      .ask(ALICE, 'List', { patterns: Array.from({ length: 100 }, () => '*a?a*a?a*a?b') })
      .finally(() => done.abort());
    while (!done.signal.aborted) {
      await nextTurn();
      turns += 1;
    }
    assert.deepEqual((await listed).credentials, []);
    assert.ok(turns > 5, `${turns} turns of the event loop`);
  });
});

describe('List of damaged records', () => {
  async function damagedCore(
    t: Parameters<typeof startCore>[0],
    person: Person,
    kind: 'credential' | 'value',
    name: string,
  ): Promise<Core> {
    const before = await startCore(t);
    await before.create(person, 'cio_aws_access_key', 'token');
    const records = recordsIn(before.storePath, kind);
    if (kind === 'value') await before.replace(person, name, `s3:https://a.example/bucket/${VALUE_IN_OWN_RECORD}`);
    else await before.create(person, name);
    const [tag = ''] = newTags(records, recordsIn(before.storePath, kind));
    await before.create(person, 'last');
    return restartCore(t, before, () => flipBit(before.storePath, kind, tag));
  }

  for (const person of [ROOT, ALICE]) {
    it(`counts an undecryptable record once, and lists all others (uid ${person.uid})`, async (t) => {
      const core = await damagedCore(t, person, 'credential', 'cio_aws_secret_key');
      const { credentials, damaged } = await core.ask(person, 'List', {});
      assert.deepEqual(credentials.map(({ name }) => name).toSorted(), ['cio_aws_access_key', 'last', 'token']);
      assert.equal(damaged, 1);
      const replies = await batches(core, person);
      assert.equal(replies.at(-1)?.damaged, 1);
    });

    it(`lists a credential with a damaged public value, and counts the value (uid ${person.uid})`, async (t) => {
      const core = await damagedCore(t, person, 'value', 'cio_aws_backup_repo');
      const { credentials, damaged } = await core.ask(person, 'List', {});
      const repository = credentials.find(({ name }) => name === 'cio_aws_backup_repo') ?? assert.fail();
      assert.deepEqual([repository.value, damaged], [undefined, 1]);
    });
  }

  it("does not count others' damaged records for a user", async (t) => {
    const core = await damagedCore(t, ROOT, 'credential', 'cio_aws_secret_key');
    assert.equal((await core.ask(ALICE, 'List', {})).damaged, 0);
  });
});
