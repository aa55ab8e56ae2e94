import { isIP } from 'node:net';

import { withTimeout } from '../deadline.ts';
import { ProbeFailure } from '../failure.ts';
import { ERROR_BYTES_MAX, IDENTITY_MS } from '../limits.ts';
import { connectTo } from '../network/connect.ts';
import { Wire, type Answer } from '../network/wire.ts';

/** A cloud's metadata service on this machine's own link, given by its address, since a name could lead elsewhere. */
export interface MetadataAddress {
  readonly address: string;
  readonly port: number;
}

/** The services that tell a machine its identity. Tests use others; no set and no caller can name them. */
export interface MetadataServices {
  /** The service for a machine, which has the same address in all clouds. */
  readonly instance: MetadataAddress;
  /** The service for a task in one of Amazon's containers. The keys are at the path that Amazon gave the task. */
  readonly container?: MetadataAddress & { readonly path: string };
}

/** The link-local address that Amazon, Google and Microsoft document for machines. */
const INSTANCE: MetadataAddress = { address: '169.254.169.254', port: 80 };

/** The address that Amazon documents for containers ("Task IAM role"). */
const CONTAINER: MetadataAddress = { address: '169.254.170.2', port: 80 };

/**
 * Returns the metadata services of this machine.
 *
 * @param containerPath the path that Amazon's container agent put into this process's environment; it cannot name
 *   another server
 */
export function metadataServices(containerPath: string | undefined): MetadataServices {
  const isPath = containerPath !== undefined && /^\/[\x21-\x7e]{1,1024}$/.test(containerPath);
  return { instance: INSTANCE, ...(isPath ? { container: { ...CONTAINER, path: containerPath } } : {}) };
}

/** Sends a request to a metadata service. Nothing of the set is sent there. */
export type SendMetadataRequest = (
  method: 'GET' | 'PUT',
  path: string,
  headers: Readonly<Record<string, string>>,
) => Promise<Answer>;

/**
 * Connects to a metadata service for the requests of `use`. They are bounded in time and bytes as all others, never go
 * through a proxy, and follow no redirect.
 *
 * @throws ProbeFailure `identity_missing` or `identity_not_told`
 */
export async function withMetadata<Value>(
  { address, port }: MetadataAddress,
  signal: AbortSignal,
  use: (send: SendMetadataRequest) => Promise<Value>,
): Promise<Value> {
  try {
    return await withTimeout(IDENTITY_MS, signal, async (signal) => {
      const open = (signal: AbortSignal): ReturnType<typeof connectTo> =>
        connectTo({ address, family: isIP(address) }, port, signal);
      const wire = new Wire({ first: await open(signal), open, base: '' });
      try {
        return await use((method, path, headers) => {
          const all = { host: port === 80 ? address : `${address}:${port}`, 'content-length': '0', ...headers };
          return wire.exchange({ method, path, headers: all }, ERROR_BYTES_MAX, signal);
        });
      } finally {
        wire.close();
      }
    });
  } catch (error) {
    throw error instanceof ProbeFailure ? identityFailureOf(error) : error;
  }
}

/**
 * The failure for a refusal other than the one that means "this machine has no identity", which differs between clouds.
 */
export function refusalOf({ status }: Answer): ProbeFailure {
  return new ProbeFailure('identity_not_told', { field: 'use_iam', subject: `HTTP ${status}` });
}

export function missingIdentity(): ProbeFailure {
  return new ProbeFailure('identity_missing', { field: 'use_iam' });
}

/** Maps a failure of the connection or the request: nothing answered, or something that is not a metadata service. */
function identityFailureOf(failure: ProbeFailure): ProbeFailure {
  if (failure.reason.startsWith('identity_')) return failure;
  return new ProbeFailure('identity_not_told', { field: 'use_iam', subject: failure.reason.replaceAll('_', ' ') });
}
