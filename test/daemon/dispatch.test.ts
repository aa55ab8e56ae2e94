import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { malformed, batchableMethod, toReply } from '../../daemon/dispatch.ts';
import { REPEAT_INTERVAL_MS } from '../../daemon/rate-limited-log.ts';
import { StoreError } from '../../daemon/store/sealed-store.ts';
import { CredentialError } from '../../src/errors.ts';
import { assertUnseen, Canaries } from '../support/canary.ts';
import { ALICE, BOB, RESTIC, ROOT, startCore } from './core.ts';

const PROTOCOL = join(import.meta.dirname, '..', '..', 'src', 'protocol');
const CREDENTIALS = 'io.cio.Credentials';
const SERVICE = 'org.varlink.service';
const NOT_A_CALL = { error: `${CREDENTIALS}.MalformedMessage`, parameters: { reason: 'not_a_call' } };

describe('createDispatch(): org.varlink.service', () => {
  it('GetInfo returns the product and its interfaces, to anyone', async (t) => {
    const core = await startCore(t);
    for (const person of [ROOT, ALICE]) {
      assert.deepEqual(await core.send(person, { method: `${SERVICE}.GetInfo` }), [
        {
          parameters: {
            vendor: 'cio-credentiald',
            product: 'cio-credentiald',
            version: '1.2.3',
            url: '',
            interfaces: [SERVICE, CREDENTIALS],
          },
        },
      ]);
    }
  });

  for (const name of [SERVICE, CREDENTIALS]) {
    it(`GetInterfaceDescription returns the file of ${name}, byte for byte`, async (t) => {
      const core = await startCore(t);
      const [reply] = await core.send(ALICE, {
        method: `${SERVICE}.GetInterfaceDescription`,
        parameters: { interface: name },
      });
      const { description } = (reply?.parameters ?? {}) as { description: string };
      assert.ok(Buffer.from(description).equals(readFileSync(join(PROTOCOL, `${name}.varlink`))));
    });
  }

  it('GetInfo is answered while the store is locked', async (t) => {
    const core = await startCore(t);
    await core.ask(ROOT, 'Lock', {});
    const [reply] = await core.send(ALICE, { method: `${SERVICE}.GetInfo`, parameters: {} });
    assert.equal(reply?.error, undefined);
  });

  for (const [name, told] of [
    ['org.example.other', 'org.example.other'],
    ['', ''],
    ['io.cio.credentials', 'io.cio.credentials'],
    ['io.cio.Credentials ', ''],
    ['<a pasted secret>', ''],
    ['x'.repeat(201), ''],
    ['toString', 'toString'],
  ] as const) {
    it(`GetInterfaceDescription does not find ${JSON.stringify(name.slice(0, 30))}`, async (t) => {
      const core = await startCore(t);
      assert.deepEqual(
        await core.send(ALICE, { method: `${SERVICE}.GetInterfaceDescription`, parameters: { interface: name } }),
        [{ error: `${SERVICE}.InterfaceNotFound`, parameters: { interface: told } }],
      );
    });
  }
});

describe('createDispatch(): unknown methods', () => {
  for (const [method, error, parameters] of [
    [`${CREDENTIALS}.Nothing`, 'MethodNotFound', { method: 'Nothing' }],
    [`${CREDENTIALS}.get`, 'MethodNotFound', { method: 'get' }],
    [`${CREDENTIALS}.`, 'MethodNotFound', { method: '' }],
    [`${CREDENTIALS}.constructor`, 'MethodNotFound', { method: 'constructor' }],
    [`${CREDENTIALS}.__proto__`, 'MethodNotFound', { method: '' }],
    [`${SERVICE}.Nothing`, 'MethodNotFound', { method: 'Nothing' }],
    ['org.example.other.Get', 'InterfaceNotFound', { interface: 'org.example.other' }],
    ['io.cio.credentials.Get', 'InterfaceNotFound', { interface: 'io.cio.credentials' }],
    ['Get', 'InterfaceNotFound', { interface: '' }],
    ['', 'InterfaceNotFound', { interface: '' }],
    ['.', 'InterfaceNotFound', { interface: '' }],
    ['.Get', 'InterfaceNotFound', { interface: '' }],
    ['a secret/+.Get', 'InterfaceNotFound', { interface: '' }],
    [`${'x'.repeat(201)}.Get`, 'InterfaceNotFound', { interface: '' }],
    [` ${CREDENTIALS}.Get`, 'InterfaceNotFound', { interface: '' }],
    [`${CREDENTIALS}.Get\0`, 'MethodNotFound', { method: '' }],
  ] as const) {
    it(`answers ${error} to ${JSON.stringify(method.slice(0, 40))}`, async (t) => {
      const core = await startCore(t);
      assert.deepEqual(await core.send(ALICE, { method }), [{ error: `${SERVICE}.${error}`, parameters }]);
    });
  }
});

describe('createDispatch(): parameters', () => {
  const credential = { name: 'a', value: 'x' };
  for (const [method, parameters, path] of [
    ['Get', {}, 'name'],
    ['Get', undefined, 'name'],
    ['Get', { name: null }, 'name'],
    ['Get', { name: 1 }, 'name'],
    ['Get', { name: ['a'] }, 'name'],
    ['Get', { name: 'a', version: '1' }, 'version'],
    ['Get', { name: 'a', version: 1.5 }, 'version'],
    ['Get', { name: 'a', version: 2 ** 53 }, 'version'],
    ['Get', { name: 'a', owner: true }, 'owner'],
    ['Get', { name: 'a', canary: 1 }, ''],
    ['Get', { name: 'a', Name: 'a' }, ''],
    ['Get', { name: 'a\ud800' }, 'name'],
    ['Status', { x: null }, ''],
    ['Create', {}, 'credentials'],
    ['Create', { credentials: {} }, 'credentials'],
    ['Create', { credentials: [credential, credential, 3] }, 'credentials[2]'],
    ['Create', { credentials: [credential, { value: 'x' }] }, 'credentials[1].name'],
    ['Create', { credentials: [{ name: 'a', value: 5 }] }, 'credentials[0].value'],
    ['Create', { credentials: [{ ...credential, canary: 'x' }] }, 'credentials[0]'],
    ['Create', { credentials: [credential], replace: 'true' }, 'replace'],
    ['Create', { credentials: [credential], ifGeneration: '0' }, 'ifGeneration'],
    ['Create', { credentials: null }, 'credentials'],
    ['List', { patterns: 'a' }, 'patterns'],
    ['List', { patterns: ['a', null] }, 'patterns[1]'],
    ['Remove', { names: ['a', 7] }, 'names[1]'],
    ['Grant', { target: 'a', grantees: [{ uid: '1' }] }, 'grantees[0].uid'],
    ['Grant', { target: 'a', grantees: [{ uid: 1, user: 'alice' }] }, 'grantees[0]'],
    ['Fsck', { repair: 1 }, 'repair'],
    ['Unlock', { passphrase: ['x'] }, 'passphrase'],
  ] as const) {
    it(`answers InvalidParameter ${JSON.stringify(path)} to ${method} ${JSON.stringify(parameters)?.slice(0, 60)}`, async (t) => {
      const core = await startCore(t);
      for (const person of [ROOT, ALICE]) {
        const message = { method: `${CREDENTIALS}.${method}`, ...(parameters === undefined ? {} : { parameters }) };
        const invalid = { error: `${SERVICE}.InvalidParameter`, parameters: { parameter: path } };
        assert.deepEqual(await core.send(person, message), [invalid]);
      }
    });
  }

  it('accepts null or no parameters for a method without any', async (t) => {
    const core = await startCore(t);
    for (const message of [{}, { parameters: null }, { parameters: {} }]) {
      const [reply] = await core.send(ALICE, { method: `${CREDENTIALS}.Status`, ...message });
      assert.equal(reply?.error, undefined);
    }
  });

  it('refuses __proto__ at any place in the JSON, and is not polluted by it', async (t) => {
    const core = await startCore(t);
    for (const [text, error] of [
      ['{"method":"io.cio.Credentials.Get","parameters":{"name":"a","__proto__":{"version":1}}}', 'InvalidParameter'],
      ['{"method":"io.cio.Credentials.Get","parameters":{"__proto__":{"name":"a"}}}', 'InvalidParameter'],
      [
        '{"method":"io.cio.Credentials.Create","parameters":{"credentials":[{"__proto__":{"name":"a","value":"x"}}]}}',
        'InvalidParameter',
      ],
      [
        '{"method":"io.cio.Credentials.Get","parameters":{"constructor":{"prototype":{"polluted":1}}}}',
        'InvalidParameter',
      ],
      ['{"__proto__":{"method":"io.cio.Credentials.Status"}}', 'MalformedMessage'],
    ] as const) {
      const [reply] = await core.send(ROOT, JSON.parse(text) as object);
      assert.equal(reply?.error?.split('.').at(-1), error, text);
    }
    assert.equal(({} as { polluted?: unknown }).polluted, undefined);
    assert.equal(({} as { method?: unknown }).method, undefined);
  });
});

describe('createDispatch(): messages that are not calls', () => {
  for (const message of [
    [],
    [{ method: `${CREDENTIALS}.Status` }],
    null,
    'text',
    7,
    true,
    {},
    { method: null },
    { method: 7 },
    { method: [`${CREDENTIALS}.Status`] },
    { Method: `${CREDENTIALS}.Status` },
    { method: `${CREDENTIALS}.Status`, parameters: [] },
    { method: `${CREDENTIALS}.Status`, parameters: 'x' },
    { method: `${CREDENTIALS}.Status`, parameters: 0 },
    { method: `${CREDENTIALS}.Status`, more: 1 },
    { method: `${CREDENTIALS}.Status`, oneway: 'true' },
    { method: `${CREDENTIALS}.Status`, upgrade: {} },
    { error: `${CREDENTIALS}.NotFound`, parameters: { name: 'a' } },
  ]) {
    it(`answers MalformedMessage to ${JSON.stringify(message)}`, async (t) => {
      const core = await startCore(t);
      assert.deepEqual(core.dispatch(core.caller(ALICE), message), NOT_A_CALL);
    });
  }

  it('refuses an upgrade to another protocol', async (t) => {
    const core = await startCore(t);
    const message = { method: `${CREDENTIALS}.Status`, parameters: {}, upgrade: true };
    assert.deepEqual(core.dispatch(core.caller(ROOT), message), NOT_A_CALL);
    const [reply] = await core.send(ROOT, { ...message, upgrade: false });
    assert.equal(reply?.error, undefined);
  });

  it('repeats nothing that was received in replies or the log', async (t) => {
    const core = await startCore(t);
    const canaries = new Canaries();
    const secret = canaries.plant('secret');
    const messages: unknown[] = [
      secret,
      [secret],
      { [secret]: secret },
      { method: secret },
      { method: `${secret}.Get` },
      { method: `${CREDENTIALS}.${secret}` },
      { method: `${CREDENTIALS}.Status`, parameters: secret },
      { method: `${CREDENTIALS}.Status`, more: secret },
      { method: `${CREDENTIALS}.Status`, parameters: { [secret]: secret } },
      { method: `${CREDENTIALS}.Get`, parameters: { name: secret } },
      { method: `${CREDENTIALS}.Get`, parameters: { name: 'a', version: secret } },
      { method: `${CREDENTIALS}.GetSet`, parameters: { set: secret } },
      { method: `${CREDENTIALS}.List`, parameters: { patterns: [secret] } },
      { method: `${CREDENTIALS}.Create`, parameters: { credentials: [{ name: secret, value: secret }] } },
      { method: `${CREDENTIALS}.Create`, parameters: { credentials: [{ name: 'a', value: secret, data: secret }] } },
      { method: `${CREDENTIALS}.Create`, parameters: { credentials: [{ name: 'a', data: secret }] } },
      ...['backup_repo', 'access_key', 'provider', 'region'].map((field) => ({
        method: `${CREDENTIALS}.Create`,
        parameters: { credentials: [{ name: `cio_x_${field}`, value: secret }] },
      })),
      { method: `${CREDENTIALS}.Grant`, parameters: { target: 'a', grantees: [{ unit: secret }] } },
      { method: `${CREDENTIALS}.Remove`, parameters: { names: [secret] } },
      { method: `${CREDENTIALS}.RemoveSlot`, parameters: { id: secret } },
      { method: `${CREDENTIALS}.Unlock`, parameters: { passphrase: secret } },
      { method: `${CREDENTIALS}.Unlock`, parameters: { recoveryCode: secret } },
      { method: `${CREDENTIALS}.AddSlot`, parameters: { kind: secret } },
      { method: `${CREDENTIALS}.AddSlot`, parameters: { kind: 'keyfile', path: secret } },
      { method: `${CREDENTIALS}.AddSlot`, parameters: { kind: 'systemd', credential: secret } },
      { method: `${SERVICE}.GetInterfaceDescription`, parameters: { interface: secret } },
    ];
    for (const message of messages) {
      for (const person of [ROOT, ALICE]) {
        const replies = await core.send(person, message as object);
        assertUnseen(canaries.findIn('reply', JSON.stringify(replies)));
      }
    }
    assertUnseen(canaries.findIn('log', core.log.join('')));
    assert.deepEqual(core.log, []);
  });
});

describe('createDispatch(): flags', () => {
  it('does not answer a oneway call, but executes it', async (t) => {
    const core = await startCore(t);
    const oneway = (method: string, parameters: object): Promise<object[]> =>
      core.send(ROOT, { method: `${CREDENTIALS}.${method}`, parameters, oneway: true });
    assert.deepEqual(await oneway('Create', { credentials: [{ name: 'a', value: 'x' }] }), []);
    assert.equal(await core.value(ROOT, 'a'), 'x');
    assert.deepEqual(await oneway('Get', { name: 'a' }), []);
    assert.deepEqual(await oneway('List', {}), []);
    const both = { method: `${CREDENTIALS}.List`, parameters: {}, oneway: true, more: true };
    assert.deepEqual(await core.send(ROOT, both), []);
    assert.equal(core.dispatch(core.caller(ROOT), { ...both, method: `${CREDENTIALS}.Watch` }), undefined);
  });

  it('does not answer a refused oneway call', async (t) => {
    const core = await startCore(t);
    for (const [method, parameters] of [
      ['Get', { name: 'none' }],
      ['Get', {}],
      ['Create', { credentials: [] }],
      ['Nothing', {}],
      ['List', { allOwners: true }],
      ['Lock', {}],
    ] as const) {
      assert.deepEqual(await core.send(ALICE, { method: `${CREDENTIALS}.${method}`, parameters, oneway: true }), []);
    }
    assert.deepEqual(core.log, []);
  });

  it('answers a call with more once if there is only one reply', async (t) => {
    const core = await startCore(t);
    for (const method of ['Status', 'Nothing', 'Get']) {
      const replies = await core.send(BOB, { method: `${CREDENTIALS}.${method}`, parameters: {}, more: true });
      assert.deepEqual(
        replies.map(({ continues }) => continues),
        [undefined],
      );
    }
  });

  it('answers a refused or failed call with more with one error', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, 'token');
    const list = (): Promise<object[]> =>
      core.send(ROOT, { method: `${CREDENTIALS}.List`, parameters: {}, more: true });
    core.store.failWith(new RangeError('by the test'));
    assert.deepEqual(await list(), [{ error: `${CREDENTIALS}.InternalError`, parameters: {} }]);
    core.store.failWith(undefined);
    await core.ask(ROOT, 'Lock', {});
    assert.deepEqual(await list(), [{ error: `${CREDENTIALS}.Locked`, parameters: {} }]);
  });

  it('ignores unknown keys of the call', async (t) => {
    const core = await startCore(t);
    const [reply] = await core.send(ALICE, { method: `${CREDENTIALS}.Status`, 'org.example.trace': 7 });
    assert.equal(reply?.error, undefined);
  });
});

describe('createDispatch(): a defect', () => {
  it('is InternalError to the caller, and is logged without any data', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, 'token');
    const canaries = new Canaries();
    const secret = canaries.plant('secret');
    core.store.failWith(new RangeError(secret));
    const internal = { error: `${CREDENTIALS}.InternalError`, parameters: {} };
    assert.deepEqual(await core.call(ROOT, 'Get', { name: 'other' }), internal);
    assert.deepEqual(await core.call(ROOT, 'GetSet', { set: 'aws' }), internal);
    assert.deepEqual(await core.call(ROOT, 'List', {}), internal);
    assert.deepEqual(await core.call(ROOT, 'Create', { credentials: [{ name: 'a', value: secret }] }), internal);
    assert.equal(core.log.length, 4);
    for (const line of core.log)
      assert.match(line, /a call failed: internal error method=io\.cio\.Credentials\.\w+ class=RangeError at=/);
    assertUnseen(canaries.findIn('log', core.log.join('')));
    core.store.failWith(undefined);
    assert.equal(await core.value(ROOT, 'token'), 'value-of-token');
    await core.create(ROOT, 'a');
  });
});

describe('createDispatch(): many changes', () => {
  const target = 'token';
  const grantees = [{ uid: RESTIC.uid }];
  for (const [method, parameters] of [
    ['Create', { credentials: [{ name: 'other', value: 'v' }] }],
    ['Grant', { target, grantees }],
    ['Revoke', { target, grantees }],
    ['Remove', { names: [target] }],
    ['Rollback', { target }],
  ] as const) {
    it(`by one user delay ${method} of another by only a few of them`, async (t) => {
      const core = await startCore(t);
      for (const person of [ALICE, BOB]) {
        await core.create(person, target);
        await core.replace(person, target, 'new');
      }
      let now = performance.now();
      // As if each change took a millisecond, so that they do not fit into one commit.
      t.mock.method(performance, 'now', () => (now += 1));
      let done = 0;
      const crowd = Array.from({ length: 200 }, async () => {
        await core.call(ALICE, method, parameters);
        done += 1;
      });
      const { error } = await core.call(BOB, method, parameters);
      assert.equal(error, undefined);
      assert.ok(done < crowd.length / 2, `${done} came before`);
      await Promise.all(crowd);
    });
  }
});

describe('batchableMethod()', () => {
  it('returns the method of a call that is answered after its commit and starts at once, else undefined', () => {
    for (const name of ['Create', 'Grant', 'Revoke']) {
      const method = `${CREDENTIALS}.${name}`;
      for (const parameters of [{ target: 'token' }, {}, undefined, null, 'x', { target: 1 }])
        assert.equal(batchableMethod({ method, parameters }), method);
    }
    for (const message of [
      { method: `${CREDENTIALS}.Get` },
      { method: `${CREDENTIALS}.Grant`, parameters: { target: '0191E1F0-7c3a-5000-8000-00000000000a' } },
      { method: 'Create' },
      {},
      null,
      'x',
      [],
      { method: null },
    ]) {
      assert.equal(batchableMethod(message), undefined);
    }
  });
});

describe('malformed() and toReply()', () => {
  it('return the wire form of an error', () => {
    assert.deepEqual(malformed('not_json'), {
      error: `${CREDENTIALS}.MalformedMessage`,
      parameters: { reason: 'not_json' },
    });
    assert.deepEqual(toReply(new CredentialError('NotFound', { name: 'a' })), {
      error: `${CREDENTIALS}.NotFound`,
      parameters: { name: 'a' },
    });
  });
});

describe('createDispatch(): a failing storage', () => {
  it('is logged with its own message, whatever the call, and is reported to the caller without it', async (t) => {
    const core = await startCore(t);
    await core.create(ROOT, 'token');
    const fail = (): never => {
      throw new StoreError('io', 'the words of the storage');
    };
    for (const name of ['begin', 'get', 'openSnapshot', 'copyBytes'] as const) t.mock.method(core.store, name, fail);
    const answers = {
      Create: await core.refusal(ROOT, 'Create', { credentials: [{ name: 'other', value: 'v' }] }),
      Get: await core.refusal(ROOT, 'Get', { name: 'unread' }),
      Rekey: await core.refusal(ROOT, 'Rekey', {}),
      Backup: await core.refusal(ROOT, 'Backup', {}),
    };
    for (const [method, answer] of Object.entries(answers)) {
      assert.deepEqual(answer, ['StorageFailed', { reason: 'io' }], method);
      const line = `error: the storage failed method=${CREDENTIALS}.${method} reason=the words of the storage`;
      assert.ok(core.log.join('').includes(line), `${method}: ${core.log.join('')}`);
    }
  });

  it('does not flood the log, however often it is called', async (t) => {
    const core = await startCore(t);
    const begin = t.mock.method(core.store, 'begin', () => {
      throw new StoreError('full', 'the disk is full');
    });
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const keep = (): Promise<unknown> => core.refusal(ROOT, 'Create', { credentials: [{ name: 'a', value: 'v' }] });
    for (let call = 0; call < 100; call += 1) assert.deepEqual(await keep(), ['StorageFull', {}]);
    const line = `cio-credentiald: error: the storage failed method=${CREDENTIALS}.Create reason=the disk is full`;
    assert.deepEqual(core.log, [`${line}\n`]);
    begin.mock.mockImplementation(() => {
      throw new StoreError('io', 'the disk is gone');
    });
    await keep();
    assert.match(core.log.splice(0).join(''), /reason=the disk is gone\n$/, 'another failure is another line');
    t.mock.timers.tick(REPEAT_INTERVAL_MS);
    assert.deepEqual(core.log, [`${line} times=99\n`]);
  });
});
