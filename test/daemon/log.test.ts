import assert from 'node:assert/strict';
import fs from 'node:fs';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { createLog, describeDefect, isSystemdJournal } from '../../daemon/log.ts';
import type { Log, LogFields } from '../../daemon/log.ts';

function logged(work: (log: Log) => void, hasPriorities = false): string {
  let text = '';
  work(createLog((line) => void (text += line), hasPriorities));
  return text;
}

describe('isSystemdJournal()', () => {
  it('requires standard error to be the stream that the variable names', () => {
    const { dev, ino } = fs.fstatSync(2, { bigint: true });
    assert.equal(isSystemdJournal(`${dev}:${ino}`), true);
    assert.equal(isSystemdJournal(`${dev}:${ino + 1n}`), false);
    assert.equal(isSystemdJournal(''), false);
    assert.equal(isSystemdJournal(undefined), false);
  });
});

describe('createLog()', () => {
  it('writes a readable line, with its level', () => {
    assert.equal(
      logged((log) => log.info('listening')),
      'cio-credentiald: listening\n',
    );
    assert.equal(
      logged((log) => log.warning('low')),
      'cio-credentiald: warning: low\n',
    );
    assert.equal(
      logged((log) => log.error('bad')),
      'cio-credentiald: error: bad\n',
    );
  });

  it('writes a syslog priority before the message for the journal', () => {
    assert.equal(
      logged((log) => log.info('listening'), true),
      '<6>listening\n',
    );
    assert.equal(
      logged((log) => log.warning('low'), true),
      '<4>low\n',
    );
    assert.equal(
      logged((log) => log.error('bad'), true),
      '<3>bad\n',
    );
  });

  it('appends the fields in order', () => {
    const fields = { pid: 7, path: '/a b', open: false };
    assert.equal(
      logged((log) => log.info('m', fields), true),
      '<6>m pid=7 path=/a b open=false\n',
    );
  });

  it('escapes control characters, so that no field can forge a line', () => {
    const text = logged((log) => log.warning('m', { path: '/a\n<3>forged\r\u001b[2J\u009b1m\0' }), true);
    assert.equal(text, '<4>m path=/a\\x0a<3>forged\\x0d\\x1b[2J\\x9b1m\\x00\n');
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), (message, field) => {
        const line = logged((log) => log.error(message, { field }));
        assert.match(line, /^[^\p{Cc}]*\n$/u);
      }),
      { numRuns: 50 },
    );
  });
});

describe('describeDefect()', () => {
  const SECRET = 'canary-of-a-value';

  function textOf(fields: LogFields): string {
    return JSON.stringify(fields);
  }

  it('returns the class, the code and where it was thrown', () => {
    const error: NodeJS.ErrnoException = new TypeError('message');
    error.code = 'ERR_X';
    const { class: name, code, at } = describeDefect(error);
    assert.deepEqual([name, code], ['TypeError', 'ERR_X']);
    assert.match(String(at), /log\.test\.ts:\d+/);
  });

  it('returns nothing of the message', () => {
    for (const error of [
      new Error(SECRET),
      new RangeError(`a\n${SECRET}\nb`),
      new Error(`\n    at ${SECRET} (file:1:1)\n`),
    ]) {
      assert.ok(!textOf(describeDefect(error)).includes(SECRET));
    }
  });

  it('returns nothing of the parsed text, though V8 quotes it', () => {
    for (const text of [SECRET, `{"a": ${SECRET}`, `\n    at ${SECRET}`, `{\n  at ${SECRET}\n at x`]) {
      try {
        JSON.parse(text);
        assert.fail('it was parsed');
      } catch (error) {
        assert.ok(error instanceof SyntaxError);
        assert.ok(!textOf(describeDefect(error)).includes('canary'), error.message);
      }
    }
  });

  it('returns nothing of a changed message, or of a stack that is not V8’s', () => {
    const changed = new Error(`at ${SECRET}`);
    changed.message = 'another';
    const forged = new Error('x');
    forged.stack = `Error: y\n    at ${SECRET}`;
    const without = new Error('x');
    delete without.stack;
    for (const error of [changed, forged, without]) assert.ok(!textOf(describeDefect(error)).includes(SECRET));
  });

  it('returns only the type of a thrown value that is not an Error', () => {
    for (const thrown of [SECRET, { message: SECRET }, undefined, null, 5, Symbol(SECRET)]) {
      assert.deepEqual(describeDefect(thrown), { thrown: typeof thrown });
    }
  });

  it('returns a bounded text', () => {
    const error = new Error('deep');
    error.stack = `Error: deep\n${'    at f (file:1:1)\n'.repeat(10_000)}`;
    assert.ok(textOf(describeDefect(error)).length < 1000);
  });
});
