import type { CredentialClient } from '../../client/index.ts';

/** A copy of a store, as `Backup` returns it. */
export interface Copy {
  readonly pieces: readonly string[];
  readonly sha256: string;
  /** The number of replies that it came in. */
  readonly replies: number;
}

export async function takeCopy(client: CredentialClient): Promise<Copy> {
  const pieces: string[] = [];
  let [sha256, replies] = ['', 0];
  for await (const reply of client.stream('Backup', {})) {
    pieces.push(...reply.pieces);
    sha256 = reply.sha256 ?? sha256;
    replies += 1;
  }
  return { pieces: pieces.filter((piece) => piece !== ''), sha256, replies };
}

/** Uploads a copy, one call for each piece, and returns the id for `Restore`. */
export async function sendCopy(client: CredentialClient, pieces: readonly string[]): Promise<string> {
  let upload: string | undefined;
  for (const piece of pieces) {
    upload = (await client.call('UploadCopy', { piece, ...(upload === undefined ? {} : { upload }) })).upload;
  }
  return upload ?? '';
}

export async function restoreCopy(client: CredentialClient, copy: Copy): Promise<void> {
  await client.call('Restore', { upload: await sendCopy(client, copy.pieces), sha256: copy.sha256 });
}
