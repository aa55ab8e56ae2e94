/**
 * The reference of the rows about `Get`: how fast a server in this Node can be on a Unix socket.
 *
 *     node echo-server.ts SOCKET reply BASE64    answers each message (they end with NUL) with these bytes
 *     node echo-server.ts SOCKET bytes           writes back the bytes that it reads
 *     node echo-server.ts SOCKET file FILE       answers each message with all messages of a file, one write for each
 *     node echo-server.ts SOCKET once BASE64     answers each connection with these bytes and ends it, as LOAD does
 *
 * With `reply` it reads the bytes that the daemon reads and writes as many bytes as the daemon writes, and in between
 * it only looks for the NULs: no text, no JSON, no look-up. Replies to the calls in one chunk go out in one write,
 * which is the fastest possible way.
 */
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { countMessages } from './nul.ts';

/** More than the messages that one chunk of 64 KiB can hold in these rows. */
const REPLIES_AT_ONCE = 4096;

const [socketPath = '', mode = '', argument = ''] = process.argv.slice(2);
const reply = Buffer.from(mode === 'file' ? '' : argument, 'base64');
const replies = Buffer.concat(Array.from({ length: REPLIES_AT_ONCE }, () => reply));
const messages = mode === 'file' ? splitMessages(readFileSync(argument)) : [];

const server = createServer({ allowHalfOpen: mode === 'once' }, (socket) => {
  socket.on('error', () => socket.destroy());
  if (mode === 'bytes') {
    socket.on('data', (chunk: Buffer) => void socket.write(chunk));
    return;
  }
  if (mode === 'once') {
    socket.end(reply);
    return;
  }
  if (mode === 'file') {
    socket.on('data', (chunk: Buffer) => {
      for (let call = countMessages(chunk); call > 0; call -= 1) for (const message of messages) socket.write(message);
    });
    return;
  }
  socket.on('data', (chunk: Buffer) => {
    const count = countMessages(chunk);
    if (count > REPLIES_AT_ONCE) throw new RangeError('more messages in one chunk than there are replies');
    if (count > 0) socket.write(replies.subarray(0, count * reply.length));
  });
});
server.listen(socketPath, () => process.stdout.write('ready\n'));

/** Splits bytes into messages, with their NULs. */
function splitMessages(bytes: Buffer): readonly Buffer[] {
  const split: Buffer[] = [];
  for (let start = 0; start < bytes.length;) {
    const end = bytes.indexOf(0, start) + 1;
    if (end === 0) throw new RangeError('the last message has no end');
    split.push(bytes.subarray(start, end));
    start = end;
  }
  return split;
}
