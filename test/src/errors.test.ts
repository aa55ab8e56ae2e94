import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { CredentialError, EXIT, EXIT_OF_ERROR, isCredentialError } from '../../src/errors.ts';
import { parseInterface } from '../../src/protocol/idl.ts';

const CREDENTIALS = parseInterface(
  readFileSync(new URL('../../src/protocol/io.cio.Credentials.varlink', import.meta.url), 'utf8'),
);

describe('EXIT_OF_ERROR', () => {
  it('has an entry for every error of the interface, and no other', () => {
    assert.deepEqual(Object.keys(EXIT_OF_ERROR).toSorted(), [...CREDENTIALS.errors.keys()].toSorted());
  });

  it('maps no error to success', () => {
    for (const code of Object.values(EXIT_OF_ERROR)) assert.notEqual(code, EXIT.done);
  });

  it('keeps the exit codes that scripts rely on', () => {
    assert.deepEqual(EXIT, {
      done: 0,
      failed: 1,
      usage: 2,
      notFound: 3,
      alreadyExists: 4,
      accessDenied: 5,
      locked: 6,
      notReachable: 7,
      invalid: 8,
      validationFailed: 9,
      damaged: 10,
    });
    assert.equal(EXIT_OF_ERROR.NotFound, 3);
    assert.equal(EXIT_OF_ERROR.AlreadyExists, 4);
    assert.equal(EXIT_OF_ERROR.AccessDenied, 5);
    assert.equal(EXIT_OF_ERROR.Locked, 6);
    assert.equal(EXIT_OF_ERROR.InvalidName, 8);
    assert.equal(EXIT_OF_ERROR.InvalidValue, 8);
    assert.equal(EXIT_OF_ERROR.Damaged, 10);
  });
});

describe('CredentialError', () => {
  it('carries its code and fields, and has no field in its message', () => {
    const error = new CredentialError('NotFound', { name: 'cio_aws_access_key' });
    assert.equal(error.code, 'NotFound');
    assert.deepEqual(error.fields, { name: 'cio_aws_access_key' });
    assert.ok(error instanceof Error);
    assert.equal(String(error), 'CredentialError: NotFound');
  });
});

describe('isCredentialError()', () => {
  it('recognises a CredentialError by its code', () => {
    assert.ok(isCredentialError(new CredentialError('Locked', {}), 'Locked'));
    for (const other of [
      new CredentialError('Busy', {}),
      new Error('Locked'),
      { code: 'Locked' },
      'Locked',
      null,
      undefined,
    ]) {
      assert.ok(!isCredentialError(other, 'Locked'));
    }
  });
});
