import type { Finding } from '../../src/validation.ts';
import { findingOf } from './failure.ts';
import { connectFirst } from './network/connect.ts';
import { authorityOf, type Endpoint } from './network/endpoint.ts';
import { shakeHands, tlsOptionsOf } from './network/handshake.ts';
import { resolveAddresses, type Lookup } from './network/resolve.ts';
import { Wire } from './network/wire.ts';
import type { Steps } from './steps.ts';

/** The links of the chain up to a server that can be talked to; undefined where one broke. The caller closes the wire. */
export async function* reach(
  endpoint: Endpoint,
  steps: Steps,
  lookup: Lookup,
): AsyncGenerator<Finding, Wire | undefined> {
  const resolved = yield* steps.run('resolve', () => resolveAddresses(endpoint, lookup));
  if (resolved === undefined) return undefined;
  yield { check: 'resolve', state: 'passed', ms: resolved.ms };

  const connected = yield* steps.run('connect', (signal) => connectFirst(endpoint, resolved.value, signal));
  if (connected === undefined) return undefined;
  yield { check: 'connect', state: 'passed', ms: connected.ms };
  const { address, socket } = connected.value;
  if (!endpoint.isTls) {
    yield findingOf('tls', 'skipped', 'not_needed');
    return new Wire(endpoint, address, undefined, socket);
  }

  const secured = yield* steps.run('tls', async (signal) => {
    const options = tlsOptionsOf(endpoint);
    return { options, socket: await shakeHands(socket, options, signal) };
  });
  if (secured === undefined) {
    socket.destroy();
    return undefined;
  }
  yield endpoint.isVerified
    ? { check: 'tls', state: 'passed', ms: secured.ms }
    : {
        ...findingOf('tls', 'warning', 'certificate_not_verified', {
          field: 'skip_verify',
          subject: authorityOf(endpoint),
        }),
        ms: secured.ms,
      };
  return new Wire(endpoint, address, secured.value.options, secured.value.socket);
}
