import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import type { RestoreIn, RestoreOut } from '../../../src/protocol/interface.generated.ts';
import { INTERFACE_NAME } from '../../../src/protocol/interface.generated.ts';
import type { Scope } from '../../support/scope.ts';
import { ALICE, ROOT, startCore } from '../core.ts';
import type { Core } from '../core.ts';

/** Small enough that even a small store takes several pieces. */
const PIECE_BYTES = 20_000;

export interface TakenCopy {
  readonly bytes: Buffer;
  readonly opensElsewhere: boolean;
}

/** Makes a core with `token` and a copy of it, and then changes everything. */
export async function coreWithCopy(scope: Scope): Promise<{ core: Core; bytes: Buffer }> {
  const core = await startCore(scope);
  await core.create(ROOT, { name: 'token', value: 'old' }, 'gone-later');
  await core.create(ALICE, 'cio_aws_access_key');
  await core.ask(ALICE, 'Grant', { target: 'aws', grantees: [{ unit: 'restic.service' }] });
  const { bytes } = await takeCopy(core);
  await core.replace(ROOT, 'token', 'new');
  await core.ask(ROOT, 'Remove', { names: ['gone-later'] });
  await core.create(ROOT, 'made-later');
  await core.ask(ALICE, 'Revoke', { target: 'aws', grantees: [{ unit: 'restic.service' }] });
  return { core, bytes };
}

/** Takes a copy of a store, in several replies. */
export async function takeCopy(core: Core): Promise<TakenCopy> {
  const replies = await core.send(ROOT, { method: `${INTERFACE_NAME}.Backup`, parameters: {}, more: true });
  const parts = replies.map(({ error, parameters }) => {
    assert.equal(error, undefined);
    return parameters as { pieces: string[]; size: number; sha256?: string; opensElsewhere: boolean };
  });
  const bytes = Buffer.concat(parts.flatMap(({ pieces }) => pieces.map((piece) => Buffer.from(piece, 'base64'))));
  const last = parts.at(-1);
  assert.ok(last !== undefined && parts.every(({ size }) => size === bytes.length));
  assert.equal(last.sha256, sha256Of(bytes));
  return { bytes, opensElsewhere: last.opensElsewhere };
}

export function sha256Of(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Uploads a copy to a daemon, and returns the parameters to call {@link Restore} with. */
export async function upload(core: Core, bytes: Uint8Array): Promise<RestoreIn> {
  let id: string | undefined;
  for (let from = 0; from < bytes.length || id === undefined; from += PIECE_BYTES) {
    const piece = Buffer.from(bytes.subarray(from, from + PIECE_BYTES)).toString('base64');
    const reply = await core.ask(ROOT, 'UploadCopy', { piece, ...(id !== undefined && { upload: id }) });
    assert.equal(reply.size, Math.min(from + PIECE_BYTES, bytes.length));
    id = reply.upload;
  }
  return { upload: id, sha256: sha256Of(bytes) };
}

/** Uploads and restores a good copy. */
export async function restore(core: Core, bytes: Uint8Array, more: Partial<RestoreIn> = {}): Promise<RestoreOut> {
  return core.ask(ROOT, 'Restore', { ...(await upload(core, bytes)), ...more });
}

/** Asserts that a check of the store finds no problem. */
export async function assertWhole(core: Core): Promise<void> {
  assert.deepEqual((await core.ask(ROOT, 'Fsck', {})).problems, []);
}
