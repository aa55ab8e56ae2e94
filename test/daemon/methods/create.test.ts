import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { VERSIONS_KEPT } from '../../../daemon/methods/save-version.ts';
import { ITEMS_PER_CALL_MAX, VALUE_BYTES_MAX } from '../../../src/limits.ts';
import { ALICE, BOB, ROOT, START_TIME, startCore } from '../core.ts';
import type { Core } from '../core.ts';

const UUID = '0191e1f0-7c3a-7000-8000-00000000000a';

/** What a caller sees of the store: the names, and how often it has changed. */
async function summary(core: Core): Promise<object> {
  const { credentials } = await core.ask(ROOT, 'List', {});
  const { generation, credentials: count } = await core.ask(ROOT, 'Status', {});
  return { names: credentials.map(({ name }) => name).toSorted(), generation, count };
}

describe('Create', () => {
  it('stores a credential as version 1', async (t) => {
    const core = await startCore(t);
    const credentials = [{ name: 'db-password', value: 'swordfish' }];
    assert.deepEqual(await core.ask(ROOT, 'Create', { credentials }), {
      generation: 1,
      saved: [{ name: 'db-password', version: 1, created: true }],
    });
    assert.equal(await core.value(ROOT, 'db-password'), 'swordfish');
  });

  it('stores many credentials as one generation, in one transaction', async (t) => {
    const core = await startCore(t);
    const names = Array.from({ length: ITEMS_PER_CALL_MAX }, (_, index) => `name-${index}`);
    const before = core.store.commits;
    const { generation, saved } = await core.ask(ROOT, 'Create', {
      credentials: names.map((name) => ({ name, value: 'x' })),
    });
    assert.equal(generation, 1);
    assert.deepEqual(
      saved,
      names.map((name) => ({ name, version: 1, created: true })),
    );
    assert.equal(core.store.commits - before, 1);
    const { credentials } = await core.ask(ROOT, 'List', {});
    assert.deepEqual(new Set(credentials.map((credential) => credential.generation)), new Set([1]));
    assert.equal(credentials.length, ITEMS_PER_CALL_MAX);
  });

  it('wipes the values, whether they are stored or refused', async (t) => {
    const core = await startCore(t);
    const texts = ['the-first-value', Buffer.from('the-second-value').toString('base64')];
    const values: Buffer[] = [];
    const from = Buffer.from.bind(Buffer) as (...args: readonly unknown[]) => Buffer;
    t.mock.method(Buffer, 'from', (...args: readonly unknown[]) => {
      const bytes = from(...args);
      if (texts.includes(args[0] as string)) values.push(bytes);
      return bytes;
    });
    const [value, data] = texts as [string, string];
    const areWiped = (): boolean => values.splice(0).every((bytes) => bytes.every((byte) => byte === 0));
    const credentials = [
      { name: 'a', value },
      { name: 'b', data },
    ];
    await core.ask(ROOT, 'Create', { credentials });
    assert.equal(values.length, 2);
    assert.ok(areWiped());
    assert.equal((await core.refusal(ROOT, 'Create', { credentials }))[0], 'AlreadyExists');
    assert.equal(values.length, 2);
    assert.ok(areWiped());
    const withBadName = [...credentials, { name: 'NO', value: 'x' }];
    assert.equal((await core.refusal(ROOT, 'Create', { credentials: withBadName }))[0], 'InvalidName');
    assert.equal(values.length, 2);
    assert.ok(areWiped());
  });

  it('counts generations separately for each owner', async (t) => {
    const core = await startCore(t);
    assert.deepEqual([await core.create(ROOT, 'a'), await core.create(ROOT, 'b')], [1, 2]);
    assert.deepEqual([await core.create(ALICE, 'a'), await core.create(BOB, 'a')], [1, 1]);
  });

  it('stores under the canonical name', async (t) => {
    const core = await startCore(t);
    const value = 's3:https://s3.amazonaws.com/backup-123';
    const { saved } = await core.ask(ROOT, 'Create', { credentials: [{ name: 'cio_alt_aws_restic_repo', value }] });
    assert.equal(saved[0]?.name, 'cio_aws_alt_backup_repo');
    assert.equal(await core.value(ROOT, 'cio_aws_alt_backup_repo'), value);
  });

  it('replaces with a new version, and keeps the creator and creation time', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, 'token');
    core.now += 1000;
    const parameters = { credentials: [{ name: 'token', value: 'new' }], replace: true };
    assert.deepEqual(await core.ask({ uid: 2000 }, 'Create', parameters), {
      generation: 2,
      saved: [{ name: 'token', version: 2, created: false }],
    });
    const { credentials } = await core.ask(ROOT, 'List', {});
    const { created, changed, createdBy, version, size } = credentials[0] ?? assert.fail();
    const expected = { created: START_TIME, changed: START_TIME + 1000, createdBy: 0, version: 2, size: 3 };
    assert.deepEqual({ created, changed, createdBy, version, size }, expected);
    assert.equal(await core.value(ROOT, 'token'), 'new');
  });

  it('creates and replaces credentials in one call', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, 'old');
    const credentials = ['old', 'new'].map((name) => ({ name, value: 'x' }));
    const { saved } = await core.ask(ROOT, 'Create', { credentials, replace: true });
    assert.deepEqual(
      saved.map(({ version, created }) => ({ version, created })),
      [
        { version: 2, created: false },
        { version: 1, created: true },
      ],
    );
  });

  it(`keeps the last ${VERSIONS_KEPT} versions`, async (t) => {
    const core = await startCore(t);
    for (let version = 1; version <= VERSIONS_KEPT + 3; version += 1)
      await core.replace(ROOT, 'token', `value ${version}`);
    const { versions } = await core.ask(ROOT, 'History', { name: 'token' });
    assert.deepEqual(
      versions.map(({ version }) => version),
      Array.from({ length: VERSIONS_KEPT }, (_, index) => VERSIONS_KEPT + 3 - index),
    );
    for (const { version } of versions) {
      assert.equal((await core.ask(ROOT, 'Get', { name: 'token', version })).value, `value ${version}`);
    }
    assert.deepEqual(await core.refusal(ROOT, 'Get', { name: 'token', version: 3 }), ['NotFound', { name: 'token' }]);
  });

  const bad = { name: 'not valid', value: 'x' };
  for (const [what, last, error] of [
    ['invalid name', bad, ['InvalidName', { name: 'not', reason: 'character 4 is not one of a-z, 0-9 and _ . -' }]],
    ['empty value', { name: 'b', value: '' }, ['InvalidValue', { name: 'b', reason: 'it is empty' }]],
    ['existing name', { name: 'there', value: 'x' }, ['AlreadyExists', { name: 'there' }]],
    [
      'unsuitable value for its field',
      { name: 'cio_aws_access_key', value: 'with space' },
      ['InvalidValue', { name: 'cio_aws_access_key', reason: 'it has spaces, line ends or characters outside ASCII' }],
    ],
  ] as const) {
    it(`stores nothing if one of several credentials has an ${what}`, async (t) => {
      const core = await startCore(t);
      await core.create(ROOT, 'there');
      const before = await summary(core);
      const commits = core.store.commits;
      const credentials = [{ name: 'a', value: 'x' }, last];
      assert.deepEqual(await core.refusal(ROOT, 'Create', { credentials }), error);
      assert.deepEqual(await summary(core), before);
      assert.equal(core.store.commits, commits);
      assert.equal(await core.create(ROOT, 'next'), 2);
    });
  }

  for (const [first, second] of [
    ['token', 'token'],
    ['cio_aws_alt_backup_repo', 'cio_alt_aws_backup_repo'],
    ['cio_aws_backup_password', 'cio_aws_restic_password'],
  ] as const) {
    it(`refuses ${first} and ${second} in one call, even with replace`, async (t) => {
      const core = await startCore(t);
      const value = 's3:https://s3.amazonaws.com/backup-123';
      const credentials = [first, second].map((name) => ({ name, value }));
      const reason = 'it is given twice in one call';
      assert.deepEqual(await core.refusal(ROOT, 'Create', { credentials, replace: true }), [
        'InvalidName',
        { name: first, reason },
      ]);
      assert.deepEqual(await summary(core), { names: [], generation: 0, count: 0 });
    });
  }

  it('refuses an existing name, in another spelling too', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, 'cio_aws_backup_password');
    const credentials = [{ name: 'cio_aws_restic_password', value: 'other' }];
    assert.deepEqual(await core.refusal(ROOT, 'Create', { credentials }), [
      'AlreadyExists',
      { name: 'cio_aws_backup_password' },
    ]);
    assert.equal(await core.value(ROOT, 'cio_aws_backup_password'), 'value-of-cio_aws_backup_password');
    for (const replace of [false, null]) {
      assert.equal((await core.refusal(ROOT, 'Create', { credentials, replace }))[0], 'AlreadyExists');
    }
  });

  it('refuses a call without credentials, and one with too many', async (t) => {
    const core = await startCore(t);
    assert.deepEqual(await core.refusal(ROOT, 'Create', { credentials: [] }), [
      'InvalidName',
      { name: '', reason: 'no credential is given' },
    ]);
    const credentials = Array.from({ length: ITEMS_PER_CALL_MAX + 1 }, (_, index) => ({
      name: `n${index}`,
      value: 'x',
    }));
    const tooLarge = ['TooLarge', { limit: ITEMS_PER_CALL_MAX }];
    assert.deepEqual(await core.refusal(ROOT, 'Create', { credentials }), tooLarge);
    assert.deepEqual(await summary(core), { names: [], generation: 0, count: 0 });
  });

  for (const [name, reason, told] of [
    ['', 'it is empty', ''],
    ['UPPER', 'character 1 is not one of a-z and 0-9', ''],
    ['_first', 'character 1 is not one of a-z and 0-9', ''],
    ['a/b', 'character 2 is not one of a-z, 0-9 and _ . -', 'a'],
    ['a\0b', 'character 2 is not one of a-z, 0-9 and _ . -', 'a'],
    ['ä', 'character 1 is not one of a-z and 0-9', ''],
    ['a'.repeat(129), 'it is longer than 128 characters', 'a'.repeat(32)],
    [UUID, 'it has the form of a UUID', UUID.slice(0, 32)],
  ] as const) {
    it(`refuses the name ${JSON.stringify(name.slice(0, 40))}`, async (t) => {
      const core = await startCore(t);
      const credentials = [{ name, value: 'x' }];
      assert.deepEqual(await core.refusal(ROOT, 'Create', { credentials }), ['InvalidName', { name: told, reason }]);
    });
  }

  it('accepts a name of 128 characters', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, 'n'.repeat(128));
    assert.equal(await core.value(ROOT, 'n'.repeat(128)), `value-of-${'n'.repeat(128)}`);
  });
});

describe('Create with ifGeneration', () => {
  it('accepts 0 for a credential that does not exist yet', async (t) => {
    const core = await startCore(t);
    const credentials = [{ name: 'token', value: 'x' }];
    await core.ask(ROOT, 'Create', { credentials, ifGeneration: 0 });
    assert.deepEqual(await core.refusal(ROOT, 'Create', { credentials, ifGeneration: 0, replace: true }), [
      'Conflict',
      { expected: 0, actual: 1 },
    ]);
  });

  it('refuses a credential that has changed since, and stores nothing', async (t) => {
    const core = await startCore(t);
    const seen = await core.create(ROOT, 'token');
    const changed = await core.replace(ROOT, 'token', 'changed');
    const parameters = { credentials: [{ name: 'token', value: 'mine' }], replace: true };
    assert.deepEqual(await core.refusal(ROOT, 'Create', { ...parameters, ifGeneration: seen }), [
      'Conflict',
      { expected: seen, actual: changed },
    ]);
    assert.equal(await core.value(ROOT, 'token'), 'changed');
    assert.equal((await core.ask(ROOT, 'Create', { ...parameters, ifGeneration: changed })).generation, changed + 1);
  });

  it('refuses if another field of the set has changed since', async (t) => {
    const core = await startCore(t);
    const seen = await core.create(ROOT, 'cio_aws_access_key', 'cio_aws_secret_key');
    const changed = await core.replace(ROOT, 'cio_aws_secret_key', 'changed');
    const credentials = [{ name: 'cio_aws_access_key', value: 'mine' }];
    assert.deepEqual(await core.refusal(ROOT, 'Create', { credentials, replace: true, ifGeneration: seen }), [
      'Conflict',
      { expected: seen, actual: changed },
    ]);
  });

  it('ignores changes elsewhere: other names, other sets, other owners', async (t) => {
    const core = await startCore(t);
    const seen = await core.create(ROOT, 'cio_aws_access_key');
    await core.create(ROOT, 'token', 'cio_minio_access_key', 'cio_aws_alt_access_key');
    for (const name of ['x', 'y', 'z']) await core.create(ALICE, name);
    await core.create(ALICE, 'cio_aws_secret_key');
    const credentials = [{ name: 'cio_aws_access_key', value: 'mine' }];
    await core.ask(ROOT, 'Create', { credentials, replace: true, ifGeneration: seen });
  });

  it('holds within one commit: of two calls that expect the same generation, the first wins', async (t) => {
    const core = await startCore(t);
    const seen = await core.create(ROOT, 'token');
    const commits = core.store.commits;
    const replace = (value: string): Promise<{ readonly error?: string }> =>
      core.call(ROOT, 'Create', { credentials: [{ name: 'token', value }], replace: true, ifGeneration: seen });
    const [first, second] = await Promise.all([replace('first'), replace('second')]);
    assert.equal(first.error, undefined);
    assert.equal(second.error, 'io.cio.Credentials.Conflict');
    assert.equal(await core.value(ROOT, 'token'), 'first');
    assert.equal(core.store.commits - commits, 1);
  });
});

describe('Create: values', () => {
  it('accepts any bytes as data, and returns the same bytes', async (t) => {
    const core = await startCore(t);
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 64 }), async (bytes) => {
        const data = Buffer.from(bytes).toString('base64');
        await core.ask(ROOT, 'Create', { credentials: [{ name: 'bytes', data }], replace: true });
        const got = await core.ask(ROOT, 'Get', { name: 'bytes' });
        const back = typeof got.value === 'string' ? Buffer.from(got.value) : Buffer.from(got.data ?? '', 'base64');
        assert.deepEqual(back, Buffer.from(bytes));
      }),
      { numRuns: 50 },
    );
  });

  for (const value of [
    '\0',
    'a\0b\0',
    '\u{1F511}',
    'line\nline\r\n',
    ' ',
    '\ufeffmark',
    '\u007f\u0085',
    '"\\/',
  ] as const) {
    it(`keeps the text ${JSON.stringify(value)} unchanged`, async (t) => {
      const core = await startCore(t);
      await core.create(ROOT, { name: 'text', value });
      assert.equal(await core.value(ROOT, 'text'), value);
    });
  }

  it('checks a field for the provider that the call names, or for all providers if it is unknown', async (t) => {
    const core = await startCore(t);
    const repository = { name: 'cio_offsite_backup_repo', value: 'azure:backup:/' };
    await core.create(ROOT, repository);
    for (const [id, isTaken] of [
      ['azure', true],
      ['s3', false],
    ] as const) {
      const credentials = [
        { ...repository, name: `cio_${id}x_backup_repo` },
        { name: `cio_${id}x_provider`, value: id },
      ];
      if (isTaken) await core.ask(ROOT, 'Create', { credentials });
      else assert.equal((await core.refusal(ROOT, 'Create', { credentials }))[0], 'InvalidValue');
    }
    const wrong = { credentials: [{ ...repository, value: 'nowhere' }], replace: true };
    assert.equal((await core.refusal(ROOT, 'Create', wrong))[0], 'InvalidValue');
  });

  it('keeps bytes that are not text', async (t) => {
    const core = await startCore(t);
    const data = Buffer.from([0xff, 0, 0xc3]).toString('base64');
    await core.create(ROOT, { name: 'bytes', data });
    const { value, data: got } = await core.ask(ROOT, 'Get', { name: 'bytes' });
    assert.deepEqual([value, got], [undefined, data]);
  });

  it('accepts a value of 1 MiB, as text and as data', async (t) => {
    const core = await startCore(t);
    const text = 'x'.repeat(VALUE_BYTES_MAX);
    const data = Buffer.alloc(VALUE_BYTES_MAX, 0xff).toString('base64');
    await core.create(ROOT, { name: 'text', value: text }, { name: 'data', data });
    assert.equal(await core.value(ROOT, 'text'), text);
    assert.equal((await core.ask(ROOT, 'Get', { name: 'data' })).data, data);
  });

  it('refuses one byte more than 1 MiB, counted in bytes', async (t) => {
    const core = await startCore(t);
    const over = VALUE_BYTES_MAX + 1;
    for (const credential of [
      { name: 'a', value: 'x'.repeat(over) },
      { name: 'a', value: `${'é'.repeat(VALUE_BYTES_MAX / 2)}x` },
      { name: 'a', data: Buffer.alloc(over).toString('base64') },
    ]) {
      assert.deepEqual(await core.refusal(ROOT, 'Create', { credentials: [credential] }), [
        'TooLarge',
        { limit: VALUE_BYTES_MAX },
      ]);
    }
    assert.deepEqual(await summary(core), { names: [], generation: 0, count: 0 });
  });

  for (const [what, credential] of [
    ['text', { name: 'a', value: '' }],
    ['data', { name: 'a', data: '' }],
  ] as const) {
    it(`refuses empty ${what}`, async (t) => {
      const core = await startCore(t);
      assert.deepEqual(await core.refusal(ROOT, 'Create', { credentials: [credential] }), [
        'InvalidValue',
        { name: 'a', reason: 'it is empty' },
      ]);
    });
  }

  for (const [what, credential] of [
    ['neither value nor data', { name: 'a' }],
    ['null for both', { name: 'a', value: null, data: null }],
    ['both', { name: 'a', value: 'x', data: 'eA==' }],
  ] as const) {
    it(`refuses ${what}`, async (t) => {
      const core = await startCore(t);
      assert.deepEqual(await core.refusal(ROOT, 'Create', { credentials: [credential] }), [
        'InvalidValue',
        { name: 'a', reason: 'exactly one of value and data is needed' },
      ]);
    });
  }

  for (const data of [
    'eA',
    'eA=',
    'eA===',
    'eA==\n',
    ' eA==',
    'e A==',
    'eB==',
    'e-_A',
    '====',
    'eA==eA==',
    'ä',
    '=',
    'A',
  ] as const) {
    it(`refuses data that is not base64 according to RFC 4648: ${JSON.stringify(data)}`, async (t) => {
      const core = await startCore(t);
      assert.deepEqual(await core.refusal(ROOT, 'Create', { credentials: [{ name: 'a', data }] }), [
        'InvalidValue',
        { name: 'a', reason: 'its data is not valid base64' },
      ]);
    });
  }

  it('refuses an unpaired surrogate, which is not Unicode text', async (t) => {
    const core = await startCore(t);
    const reply = await core.call(ROOT, 'Create', { credentials: [{ name: 'a', value: 'x\ud800' }] });
    assert.deepEqual(reply, {
      error: 'org.varlink.service.InvalidParameter',
      parameters: { parameter: 'credentials[0].value' },
    });
  });

  for (const [name, data, reason] of [
    ['cio_aws_secret_key', '/w==', 'it is not text'],
    ['cio_aws_access_key', 'AA==', 'it has spaces, line ends or characters outside ASCII'],
    ['cio_aws_backup_password', 'AA==', 'it has a NUL character, at which an environment variable ends'],
    ['cio_offsite_provider', 'eA==', 'it is not one of aws, minio, azure, google, openstack, s3'],
    ['cio_aws_backup_repo', 'eA==', 'it does not start with s3:; it should look like s3:https://HOST/BUCKET'],
  ] as const) {
    it(`refuses data that the field of ${name} does not allow`, async (t) => {
      const core = await startCore(t);
      assert.deepEqual(await core.refusal(ROOT, 'Create', { credentials: [{ name, data }] }), [
        'InvalidValue',
        { name, reason },
      ]);
    });
  }

  it('treats null like a missing field', async (t) => {
    const core = await startCore(t);
    const credentials = [
      { name: 'text', value: 'x', data: null },
      { name: 'data', value: null, data: 'eA==' },
    ];
    await core.ask(ROOT, 'Create', { credentials, replace: null, ifGeneration: null, owner: null });
    assert.equal(await core.value(ROOT, 'data'), 'x');
  });
});

describe('Create for an owner', () => {
  it("stores a user's credential if an administrator names the user as owner", async (t) => {
    const core = await startCore(t);
    const credentials = [{ name: 'token', value: 'for alice' }];
    assert.equal((await core.ask(ROOT, 'Create', { credentials, owner: ALICE.uid })).generation, 1);
    assert.equal(await core.value(ALICE, 'token'), 'for alice');
    assert.deepEqual(await core.refusal(ROOT, 'Get', { name: 'token' }), ['NotFound', { name: 'token' }]);
    const [own] = (await core.ask(ALICE, 'List', {})).credentials;
    assert.deepEqual([own?.owner, own?.createdBy, own?.writable], [ALICE.uid, 0, true]);
  });

  it('accepts 0 for the shared space, and users for themselves', async (t) => {
    const core = await startCore(t);
    const credentials = [{ name: 'token', value: 'x' }];
    await core.ask(ROOT, 'Create', { credentials, owner: 0 });
    await core.ask(ALICE, 'Create', { credentials, owner: ALICE.uid });
    const { credentials: all } = await core.ask(ROOT, 'List', { allOwners: true });
    assert.deepEqual(
      all.map(({ owner }) => owner).toSorted((a, b) => a - b),
      [0, ALICE.uid],
    );
  });

  it('refuses a user who names another owner, before any other check', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, 'token');
    const denied = ['AccessDenied', { right: 'write' }];
    for (const owner of [0, BOB.uid, 4242]) {
      for (const credentials of [
        [{ name: 'token', value: 'x' }],
        [{ name: 'none', value: 'x' }],
        [],
        [{ name: 'not valid' }],
      ]) {
        assert.deepEqual(await core.refusal(ALICE, 'Create', { credentials, owner }), denied);
      }
    }
  });

  for (const owner of [-1, 2 ** 32 - 1, 2 ** 32, Number.MAX_SAFE_INTEGER]) {
    it(`refuses the owner ${owner}, which is not a uid`, async (t) => {
      const core = await startCore(t);
      const credentials = [{ name: 'token', value: 'x' }];
      const [error] = await core.refusal(ROOT, 'Create', { credentials, owner });
      assert.equal(error, 'InvalidName');
    });
  }
});

describe('Create of several callers in one turn', () => {
  it('commits once, with a generation for each call', async (t) => {
    const core = await startCore(t);
    const before = core.store.commits;
    const generations = await Promise.all(['a', 'b', 'c'].map((name) => core.create(ROOT, name)));
    assert.deepEqual(generations, [1, 2, 3]);
    assert.equal(core.store.commits - before, 1);
  });

  it('keeps the other calls if one is refused', async (t) => {
    const core = await startCore(t);
    const create = (...names: string[]): Promise<object> =>
      core.call(ROOT, 'Create', { credentials: names.map((name) => ({ name, value: 'x' })) });
    const replies = await Promise.all([create('a', 'b'), create('c', 'b'), create('c', 'd')]);
    assert.deepEqual(replies[1], { error: 'io.cio.Credentials.AlreadyExists', parameters: { name: 'b' } });
    assert.deepEqual(await summary(core), { names: ['a', 'b', 'c', 'd'], generation: 2, count: 4 });
  });
});

describe('Create while the store is locked', () => {
  it('is refused with Locked', async (t) => {
    const core = await startCore(t);
    await core.ask(ROOT, 'Lock', {});
    for (const person of [ROOT, ALICE]) {
      const credentials = [{ name: 'token', value: 'x' }];
      assert.deepEqual(await core.refusal(person, 'Create', { credentials }), ['Locked', {}]);
    }
  });

  it('commits a call that came before the lock', async (t) => {
    const core = await startCore(t);
    const create = core.create(ROOT, 'token');
    await core.ask(ROOT, 'Lock', {});
    assert.equal(await create, 1);
    await core.ask(ROOT, 'Unlock', {});
    assert.equal(await core.value(ROOT, 'token'), 'value-of-token');
  });
});
