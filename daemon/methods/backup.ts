import type { BackupOut } from '../../src/protocol/interface.generated.ts';
import { requireAdministrator } from '../access/rules.ts';
import type { Piece } from '../vault/copies.ts';
import type { StreamingMethod } from './context.ts';

/** Sends a copy of the store, still encrypted: it can be opened with what opens the store, and with nothing else. */
export const backup: StreamingMethod<'Backup'> = async function* ({ copies, vault }, caller, _parameters, onGone) {
  requireAdministrator(caller);
  const opensElsewhere = vault.slots().some(({ kind }) => kind === 'passphrase' || kind === 'recovery');
  const toReply = ({ bytes, size, sha256 }: Piece): BackupOut => ({
    pieces: bytes.length === 0 ? [] : [Buffer.from(bytes).toString('base64')],
    size,
    ...(sha256 !== undefined && { sha256 }),
    opensElsewhere,
  });
  let size = 0;
  for await (const piece of copies.pieces(onGone)) {
    if (piece.sha256 !== undefined) return toReply(piece);
    ({ size } = piece);
    yield toReply(piece);
  }
  return { pieces: [], size, opensElsewhere };
};
