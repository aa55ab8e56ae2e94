import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { formatHealth, formatSetState } from '../../../../client/cio/list/set-state.ts';
import type { Health, Set as CredentialSet } from '../../../../src/protocol/interface.generated.ts';

const NOW = 100 * 86_400_000;
const HOUR = 3_600_000;

const DENIED: Health = {
  state: 'failed',
  checked: NOW - 5 * 60_000,
  good: NOW - 3 * HOUR,
  finding: { check: 'key', state: 'failed', reason: 'access_denied' },
};

function stateOf(set: Partial<CredentialSet>): string {
  const empty = { set: 'aws', uuid: 'u', owner: 0, fields: [], generation: 1, changed: NOW };
  return formatSetState({ ...empty, ready: true, missing: [], health: { state: 'unproved' }, ...set }, NOW);
}

describe('formatSetState()', () => {
  it('distinguishes proved sets from unproved ones', () => {
    assert.equal(stateOf({}), 'ready, unproved');
    assert.equal(stateOf({ health: { state: 'passed', checked: NOW - 2 * HOUR } }), 'ready, proved 2 hours ago');
  });

  it('says what failed, when, and when the set was last good', () => {
    assert.equal(stateOf({ health: DENIED }), 'failed 5 minutes ago: keys (access denied); last good 3 hours ago');
  });

  it('names missing fields first', () => {
    const missing = ['backup_repo', 'secret_key'];
    assert.equal(stateOf({ ready: false, missing }), 'lacks backup_repo, secret_key');
    assert.equal(
      stateOf({ ready: false, missing, health: { state: 'passed', checked: NOW } }),
      'lacks backup_repo, secret_key; proved just now',
    );
  });

  it('says that keys without a repository are unproved', () => {
    const keys = stateOf({ ready: false, missing: ['backup_repo', 'backup_password'] });
    assert.equal(keys, 'lacks backup_repo, backup_password; unproved');
  });
});

describe('formatHealth()', () => {
  it('leaves out what the daemon does not report', () => {
    assert.equal(formatHealth({ state: 'failed' }, NOW), 'failed');
    assert.equal(formatHealth({ state: 'passed' }, NOW), 'proved');
    assert.equal(formatHealth({ state: 'unproved', good: NOW - HOUR }, NOW), 'unproved; last good 1 hour ago');
  });
});
