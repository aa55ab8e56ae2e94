import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { ProbeFailure } from '../../../../daemon/prober/failure.ts';
import { failureOfRequest, isParseError, reasonOfSocketError } from '../../../../daemon/prober/network/socket-error.ts';

const errorOf = (code?: string): Error =>
  Object.assign(new Error('text of a library'), code === undefined ? {} : { code });

describe('reasonOfSocketError()', () => {
  it('maps the codes of a failed connection to reasons, and any other code to connection_lost', () => {
    for (const [reason, codes] of [
      ['connection_refused', ['ECONNREFUSED']],
      ['timed_out', ['ETIMEDOUT']],
      ['unreachable', ['EHOSTUNREACH', 'ENETUNREACH', 'EADDRNOTAVAIL', 'EAFNOSUPPORT', 'EINVAL', 'EACCES', 'EPERM']],
      ['connection_lost', ['ECONNRESET', 'EPIPE', 'toString', undefined]],
    ] as const) {
      for (const code of codes) assert.equal(reasonOfSocketError(errorOf(code)), reason, code);
    }
  });
});

describe('failureOfRequest()', () => {
  it('distinguishes an answer that is not HTTP, or too large, from a lost connection', () => {
    for (const [code, reason, subject] of [
      ['HPE_HEADER_OVERFLOW', 'answer_too_large', undefined],
      ['HPE_CHUNK_EXTENSIONS_OVERFLOW', 'answer_too_large', undefined],
      ['HPE_INVALID_CONSTANT', 'unexpected_answer', 'HTTP'],
      ['ECONNREFUSED', 'connection_refused', undefined],
      [undefined, 'connection_lost', undefined],
    ] as const) {
      const failure = failureOfRequest(errorOf(code));
      assert.deepEqual([failure.reason, failure.detail.subject], [reason, subject], code);
      assert.equal(isParseError(errorOf(code)), String(code).startsWith('HPE_'));
    }
  });

  it('returns a ProbeFailure unchanged', () => {
    const failure = new ProbeFailure('timed_out');
    assert.equal(failureOfRequest(failure), failure);
  });
});
