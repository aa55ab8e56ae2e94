import { createHash } from 'node:crypto';
import fs from 'node:fs';
import net from 'node:net';

/**
 * Runs `action` while no other bootstrap of the same user works on the same checkout, and waits for another one to end.
 *
 * The lock is a listening socket with an abstract name: the kernel gives that to one process only, and frees it when
 * the process is gone, however it ended. A waiting process keeps a connection to the socket, which ends with it.
 *
 * @param action is called with the descriptor of the socket. A child that inherits it keeps the lock even if this
 *   process is killed, so that no other process installs while the child's `npm ci` still runs.
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
    // Ended, refused or reset: the holder of the lock is gone, or else the next attempt will find it again.
    net.connect(name).on('error', resolve).on('close', resolve).resume();
  });
}
