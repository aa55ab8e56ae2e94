import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { constants } from 'node:os';
import { describe, it } from 'node:test';
import { SystemError } from '../../daemon/kernel/libc.ts';
import { describeSystemError } from '../../daemon/system-error.ts';

describe('describeSystemError()', () => {
  it('has the same text for an error of Node and of our own calls, and one for any other error', () => {
    assert.throws(
      () => statSync('/proc/self/none'),
      (error) => describeSystemError(error) === 'no such file or directory',
    );
    assert.equal(describeSystemError(new SystemError('flock', constants.errno.ENOENT)), 'no such file or directory');
    assert.equal(describeSystemError(new SystemError('flock', constants.errno.ENOLCK)), 'no locks available');
    assert.equal(describeSystemError(Object.assign(new Error('quota'), { errno: -122 })), 'disk quota exceeded');
    // For files too: FUSE reports it once the program of a file system has ended.
    const gone = new SystemError('open', constants.errno.ENOTCONN);
    assert.equal(describeSystemError(gone), 'transport endpoint is not connected');
    assert.equal(describeSystemError(new Error('secret')), 'unknown error');
  });
});
