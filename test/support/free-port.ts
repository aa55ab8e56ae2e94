import { once } from 'node:events';
import net from 'node:net';

const HOST = '127.0.0.1';

/** Returns a port of 127.0.0.1 on which nothing listens at the moment. */
export async function freePort(): Promise<number> {
  return release(await listen());
}

/** Returns two such ports that differ: both are taken before one of them is released. */
export async function twoFreePorts(): Promise<[number, number]> {
  const [first, second] = await Promise.all([listen(), listen()]);
  return Promise.all([release(first), release(second)]);
}

export function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(port, HOST);
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}

async function listen(): Promise<net.Server> {
  const server = net.createServer().listen(0, HOST);
  await once(server, 'listening');
  return server;
}

async function release(server: net.Server): Promise<number> {
  const { port } = server.address() as net.AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
