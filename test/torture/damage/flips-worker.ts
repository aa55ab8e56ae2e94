import { parentPort, workerData } from 'node:worker_threads';
import type { Seen, Share } from './flips.ts';
import { Sample } from './sample.ts';

/** A worker of lookAtFlips(): looks at its share of flips, one after the other. */
const { directory, files, name, flips } = workerData as Share;
const sample = new Sample(directory);
const buffers = Object.fromEntries(Object.entries(files).map(([file, bytes]) => [file, Buffer.from(bytes)]));
for (const flip of flips) {
  const flipped = Buffer.from(files[name] ?? []);
  flipped.writeUInt8(flipped.readUInt8(flip.offset) ^ (1 << flip.bit), flip.offset);
  const seen: Seen = { flip, look: await sample.look({ ...buffers, [name]: flipped }) };
  parentPort?.postMessage(seen, []);
}
