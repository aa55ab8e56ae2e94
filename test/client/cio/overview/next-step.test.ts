import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { nextStep } from '../../../../client/cio/overview/next-step.ts';
import type { Set as CredentialSet, StatusOut } from '../../../../src/protocol/interface.generated.ts';

const STATUS: StatusOut = { version: '1', pid: 1, uid: 0, started: 0, locked: false, administrator: true };

function set(name: string, more: Partial<CredentialSet> = {}): CredentialSet {
  return {
    set: name,
    uuid: name,
    owner: 0,
    ready: true,
    missing: [],
    fields: [],
    generation: 1,
    changed: 0,
    health: { state: 'passed' },
    ...more,
  };
}

describe('nextStep()', () => {
  const failing = set('failing', { health: { state: 'failed' } });
  const partial = set('partial', { ready: false, missing: ['secret_key'], health: { state: 'unproved' } });
  const unproved = set('unproved', { health: { state: 'unproved' } });

  it('names the step that most keeps a backup from working', () => {
    const command = (sets: readonly CredentialSet[], damaged = 0): string | undefined =>
      nextStep(STATUS, sets, damaged).command;
    assert.equal(command([]), 'cio credential create aws');
    assert.equal(command([set('good')]), 'cio credential exec good -- restic snapshots');
    assert.equal(command([set('good'), unproved]), 'cio credential validate unproved');
    assert.equal(command([set('good'), unproved, partial]), 'cio credential create cio_partial_secret_key');
    assert.equal(command([set('good'), unproved, partial, failing]), 'cio credential validate failing');
    assert.equal(command([failing], 1), 'cio credential fsck');
  });

  it('suggests for a locked store what the caller may do', () => {
    assert.equal(nextStep({ ...STATUS, locked: true }, [], 0).command, 'cio credential unlock');
    const { command, why } = nextStep({ ...STATUS, locked: true, administrator: false }, [], 0);
    assert.equal(command, undefined);
    assert.match(why, /root, or a member of the group cio, can open it/);
  });
});
