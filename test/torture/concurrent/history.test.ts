import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { History } from './history.ts';
import { Listener } from './listener.ts';
import type { Call, Reply, Thing } from './thing.ts';

const TOKEN: Thing = { target: 'token', names: ['token'], isSet: false };
const KEY: Thing = { target: 'key', names: ['key'], isSet: false };

function create(name: string, value: string, parameters: object = {}): Call {
  return { method: 'Create', parameters: { credentials: [{ name, value }], replace: true, ...parameters } };
}

function saved(name: string, version: number, generation: number): Exclude<Reply, undefined> {
  return { parameters: { generation, saved: [{ name, version, created: version === 1 }] } };
}

/** Records a call and its reply, one after the other. */
function tell(history: History, call: Call, reply: Exclude<Reply, undefined>): void {
  history.answer(history.ask(call, undefined), reply);
}

describe('History', () => {
  it('reports a generation that was given twice, and a later one that is lower', () => {
    const history = new History([TOKEN, KEY]);
    tell(history, create('token', 'a'), saved('token', 1, 5));
    tell(history, create('key', 'b'), saved('key', 1, 5));
    assert.match(history.verify().join('\n'), /^one generation for two: .*\bkey\b/);
    tell(history, create('key', 'c'), saved('key', 2, 4));
    assert.match(history.verify().join('\n'), /^a later call has a lower generation: /);
  });

  it('reports a stale value, and a second call that won with the same `ifGeneration`', () => {
    const history = new History([TOKEN]);
    tell(history, create('token', 'a'), saved('token', 1, 1));
    const [first, second] = ['b', 'c'].map((value) =>
      history.ask(create('token', value, { ifGeneration: 1 }), undefined),
    );
    assert.ok(first !== undefined && second !== undefined);
    history.answer(first, saved('token', 2, 2));
    history.answer(second, { error: 'io.cio.Credentials.Conflict', parameters: { expected: 1, actual: 2 } });
    assert.deepEqual(history.verify(), []);
    const get = { method: 'Get', parameters: { name: 'token' } };
    tell(history, get, { parameters: { name: 'token', value: 'b', version: 2, generation: 2 } });
    assert.deepEqual(history.verify(), []);
    tell(history, get, { parameters: { name: 'token', value: 'a', version: 1, generation: 1 } });
    assert.match(history.verify().join('\n'), /^no order explains of token: Get /);

    const other = new History([TOKEN]);
    tell(other, create('token', 'a'), saved('token', 1, 1));
    tell(other, create('token', 'b', { ifGeneration: 1 }), saved('token', 2, 2));
    tell(other, create('token', 'c', { ifGeneration: 1 }), saved('token', 3, 3));
    assert.match(other.verify().join('\n'), /^no order explains of token: Create /);
  });

  it('allows a call without a reply to have happened or not, until a read decides it', () => {
    const history = new History([TOKEN]);
    history.ask(create('token', 'a'), undefined);
    history.loseTheRest();
    assert.deepEqual(history.verify(), []);
    const missing = { error: 'io.cio.Credentials.NotFound', parameters: { name: 'token' } };
    const get = { method: 'Get', parameters: { name: 'token' } };
    tell(history, get, missing);
    assert.deepEqual([history.verify(), history.lost], [[], 1]);
    tell(history, get, { parameters: { name: 'token', value: 'a', version: 1, generation: 1 } });
    assert.equal(history.verify().length, 1);
  });
});

describe('applyCall()', () => {
  it('takes a Restore refused by a stopping daemon for one that changed nothing', () => {
    const history = new History([TOKEN]);
    const get = { method: 'Get', parameters: { name: 'token' } };
    const restore = { method: 'Restore', parameters: {} };
    tell(history, create('token', 'a'), saved('token', 1, 1));
    tell(history, { method: 'Backup', parameters: {} }, { parameters: {} });
    tell(history, create('token', 'b'), saved('token', 2, 2));
    tell(history, restore, { error: 'io.cio.Credentials.StorageFailed', parameters: { reason: 'io' } });
    tell(history, get, { parameters: { name: 'token', value: 'b', version: 2, generation: 2 } });
    assert.deepEqual(history.verify(), []);
    tell(history, get, { parameters: { name: 'token', value: 'a', version: 1, generation: 1 } });
    assert.match(history.verify().join('\n'), /^no order explains of token: Get /);

    tell(history, restore, { error: 'io.cio.Credentials.Busy', parameters: {} });
    assert.deepEqual(history.verify(), []);
    tell(history, restore, { error: 'io.cio.Credentials.BadCopy', parameters: { reason: 'gone' } });
    assert.match(history.verify().join('\n'), /^no order explains of token: Restore /);
  });
});

describe('Listener', () => {
  it('reports a change that is delivered twice, out of order, or never, and a removal of something that never existed', () => {
    const wrong: string[] = [];
    const listener = new Listener(new History([TOKEN]), false, (what) => wrong.push(what));
    const token = { name: 'token', owner: 0, version: 1, generation: 3 };
    const reply = { credentials: [token], sets: [], vanished: [], settled: true };
    listener.hear(reply);
    assert.deepEqual([wrong, listener.isSettled], [[], true]);
    assert.deepEqual(listener.differences({ credentials: [token], sets: [] }), []);
    listener.hear(reply);
    listener.hear({ ...reply, credentials: [], vanished: [{ kind: 'set', name: 'aws', owner: 0 }] });
    assert.deepEqual(wrong, ['token is told at 3, after 3', 'set aws is told as gone, and was never there']);
    assert.deepEqual(listener.differences({ credentials: [{ ...token, generation: 4 }], sets: [] }), [
      'was not told token at 4',
      'still has token at 3',
    ]);
  });
});
