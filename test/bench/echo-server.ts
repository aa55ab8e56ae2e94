/**
 * The reference of the rows about `Get`: how fast any server in this Node can be on a Unix socket.
 *
 *     node echo-server.ts SOCKET reply BASE64    answers each message (they end with NUL) with these bytes
 *     node echo-server.ts SOCKET bytes           writes back the bytes that it got
 *
 * With `reply` it gets the bytes that the daemon gets and writes as many bytes as the daemon writes, and in between it
 * does nothing but look for the NULs: no text, no JSON, no look-up. Replies to what came in one chunk go out in one
 * write, which is the fastest that it can do.
 */
import { createServer } from 'node:net';
import { countMessages } from './nul.ts';

/** More than the messages that one chunk of 64 KiB can hold in these rows. */
const REPLIES_AT_ONCE = 4096;

const [socketPath = '', mode = '', base64 = ''] = process.argv.slice(2);
const reply = Buffer.from(base64, 'base64');
const replies = Buffer.concat(Array.from({ length: REPLIES_AT_ONCE }, () => reply));

const server = createServer((socket) => {
  socket.on('error', () => socket.destroy());
  if (mode === 'bytes') {
    socket.on('data', (chunk: Buffer) => void socket.write(chunk));
    return;
  }
  socket.on('data', (chunk: Buffer) => {
    const count = countMessages(chunk);
    if (count > REPLIES_AT_ONCE) throw new RangeError('more messages in one chunk than there are replies');
    if (count > 0) socket.write(replies.subarray(0, count * reply.length));
  });
});
server.listen(socketPath, () => process.stdout.write('ready\n'));
