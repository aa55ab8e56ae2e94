import { createHash } from 'node:crypto';
import fs from 'node:fs';
import net from 'node:net';

/**
 * Runs `action` while no other bootstrap of the same user works on the same checkout; waits for it if there is one.
 *
 * The lock is a listening socket with an abstract name: the kernel gives it to one process, and takes it back when
 * that process is gone, however it went. Whoever waits holds a connection to it, which ends with it.
 *
 * @param action is called with the socket's descriptor. A child that is given it keeps the lock if this process is
 *   killed, so that nobody installs over an `npm ci` that goes on alone.
 */
export async function withCheckoutLock(root, say, action) {
  const checkout = createHash('sha256').update(fs.realpathSync(root)).digest('hex').slice(0, 16);
  const name = `\0cio-bootstrap-${process.getuid()}-${checkout}`;
  let isWaiting = false;
  for (;;) {
    const server = net.createServer();
    if (await isListening(server, name)) {
      const waiting = new Set();
      server.on('connection', (socket) => waiting.add(socket.on('error', () => socket.destroy())));
      try {
        return await action(server._handle.fd);
      } finally {
        server.close();
        for (const socket of waiting) socket.destroy();
      }
    }
    if (!isWaiting) say('Another npm command is installing or building here; waiting for it …');
    isWaiting = true;
    await connectionEnd(name);
  }
}

function isListening(server, name) {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => (error.code === 'EADDRINUSE' ? resolve(false) : reject(error)));
    server.listen(name, () => resolve(true));
  });
}

function connectionEnd(name) {
  return new Promise((resolve) => {
    // Whether it ended, was refused or reset: the holder is gone, or will be seen again.
    net.connect(name).on('error', resolve).on('close', resolve).resume();
  });
}
