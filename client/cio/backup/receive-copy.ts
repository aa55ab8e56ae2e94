import { createHash } from 'node:crypto';
import { decodeBase64 } from '../../base64.ts';
import type { CredentialClient } from '../../client.ts';
import { ConnectionError } from '../../connection-error.ts';
import type { Session } from '../session.ts';
import { WHOLE_STORE_TIMEOUT_MS } from '../timeouts.ts';

/** Facts about a copy that arrived complete. */
export interface ReceivedCopy {
  readonly bytes: number;
  readonly sha256: string;
  readonly opensElsewhere: boolean;
}

/**
 * Has the daemon send a copy of the store, and checks it against the SHA-256 that comes with it. The daemon makes the
 * copy on its own disk, and proves it, before it sends the first reply.
 *
 * @param write takes the pieces in order; if this function throws, they are to be discarded
 * @throws CredentialError, ConnectionError
 */
export function receiveCopy(session: Session, write: (piece: Uint8Array) => void): Promise<ReceivedCopy> {
  return session.withClient((client) => receive(client, write), WHOLE_STORE_TIMEOUT_MS);
}

async function receive(client: CredentialClient, write: (piece: Uint8Array) => void): Promise<ReceivedCopy> {
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const { pieces, size, sha256, opensElsewhere } of client.stream('Backup', {})) {
    for (const text of pieces) {
      const piece = decodeBase64(text);
      if (piece === undefined) throw badReply(client);
      hash.update(piece);
      bytes += piece.length;
      write(piece);
    }
    if (typeof sha256 !== 'string') continue;
    if (bytes !== size || hash.digest('hex') !== sha256) throw badReply(client);
    return { bytes, sha256, opensElsewhere };
  }
  throw badReply(client);
}

function badReply(client: CredentialClient): ConnectionError {
  return new ConnectionError('bad_reply', client.socket, { detail: 'the copy does not match its hash' });
}
