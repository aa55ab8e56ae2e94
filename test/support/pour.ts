import type { Writable } from 'node:stream';

/** Writes one piece after another, as fast as the peer reads, until the connection ends. */
export function pour(stream: Writable, nextPiece: () => string | Uint8Array): void {
  const write = (): void => {
    while (!stream.destroyed && stream.write(nextPiece()));
  };
  stream.on('drain', write);
  write();
}
