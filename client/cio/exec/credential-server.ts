import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { AwsKeys } from '../../../src/forms/aws.ts';
import { formatContainerCredentials } from '../../../src/forms/aws-process.ts';
import type { CredentialEndpoint } from '../../../src/forms/served-environment.ts';
import { explain } from '../messages.ts';
import { ConnectionLimit } from './connection-limit.ts';

const HOST = '127.0.0.1';
const PATH = '/credentials';
const TOKEN_BYTES = 32;

/** Lifetime of keys as told to the tools, in milliseconds: they ask again some minutes before it ends. */
const LIFETIME_MS = 15 * 60 * 1000;

/** Limits of the server: a request is one line and some headers, and the command's tools send few at a time. */
const HEADER_BYTES_MAX = 8192;
const CONNECTIONS_MAX = 32;
const REQUEST_TIMEOUT_MS = 5000;

/** How often Node checks for requests that take longer; its default is 30 seconds. */
const TIMEOUT_CHECK_MS = 1000;

/** A server that serves one command. */
export interface CredentialServer extends Disposable {
  readonly endpoint: CredentialEndpoint;
}

interface Answer {
  readonly status: number;
  readonly body: string;
}

/**
 * Starts a server that gives keys to whoever has the token, as ECS does for containers: on the loopback interface, at a
 * port that the kernel chooses. The keys are read anew for each request.
 */
export async function startCredentialServer(readKeys: () => Promise<AwsKeys>): Promise<CredentialServer> {
  const token = randomBytes(TOKEN_BYTES).toString('base64url');
  const server = createServer(
    {
      maxHeaderSize: HEADER_BYTES_MAX,
      requestTimeout: REQUEST_TIMEOUT_MS,
      headersTimeout: REQUEST_TIMEOUT_MS,
      connectionsCheckingInterval: TIMEOUT_CHECK_MS,
    },
    (request, response) => {
      void answer(request, token, authority(), readKeys).then((answer) => send(response, answer));
    },
  );
  const limit = new ConnectionLimit<Socket>(CONNECTIONS_MAX);
  server.on('connection', (socket: Socket) => {
    socket.once('close', () => limit.release(socket));
    limit.admit(socket);
  });
  const authority = (): string => `${HOST}:${(server.address() as AddressInfo).port}`;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(0, HOST, resolve);
  });
  return {
    endpoint: { url: `http://${authority()}${PATH}`, token },
    [Symbol.dispose](): void {
      server.close();
      server.closeAllConnections();
    },
  };
}

/** Answers a request. Never rejects: errors become answers. */
async function answer(
  { method, url, headers }: IncomingMessage,
  token: string,
  authority: string,
  readKeys: () => Promise<AwsKeys>,
): Promise<Answer> {
  // Guards against DNS rebinding: a web page whose host name resolves to this server would send that name as Host.
  if (headers.host !== authority) return refusal(403, 'Forbidden', 'the request is for another host');
  if (headers['x-forwarded-for'] !== undefined || headers.forwarded !== undefined) {
    return refusal(403, 'Forbidden', 'the request came through a proxy');
  }
  if (!isSame(headers.authorization ?? '', token))
    return refusal(401, 'Unauthorized', "the token is not this command's");
  if (url !== PATH) return refusal(404, 'NotFound', 'there is nothing here');
  if (method !== 'GET') return refusal(405, 'MethodNotAllowed', 'only GET is allowed');
  try {
    return { status: 200, body: formatContainerCredentials(await readKeys(), Date.now() + LIFETIME_MS) };
  } catch (error) {
    const { code, message } = explain(error);
    return refusal(code === 'NotFound' || code === 'AccessDenied' || code === 'NotInForm' ? 403 : 503, code, message);
  }
}

/** Compares in constant time, so that the time taken does not reveal how much of the token is right. */
function isSame(given: string, expected: string): boolean {
  const [a, b] = [given, expected].map((text) => createHash('sha256').update(text).digest());
  return a !== undefined && b !== undefined && timingSafeEqual(a, b);
}

function refusal(status: number, code: string, message: string): Answer {
  return { status, body: JSON.stringify({ Code: code, Message: message }) };
}

function send(response: ServerResponse, { status, body }: Answer): void {
  const headers = {
    'Content-Type': 'application/json',
    'Content-Length': Buffer.byteLength(body),
    'Cache-Control': 'no-store',
    Connection: 'close',
    ...(status === 405 && { Allow: 'GET' }),
  };
  response.writeHead(status, headers).end(body);
}
