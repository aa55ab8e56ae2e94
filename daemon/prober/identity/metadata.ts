import { isIP } from 'node:net';

import { within } from '../deadline.ts';
import { ProbeFailure } from '../failure.ts';
import { ERROR_BYTES_MAX, IDENTITY_MS } from '../limits.ts';
import { connectTo } from '../network/connect.ts';
import { Wire, type Answer } from '../network/wire.ts';

/** A service of the cloud on this machine's own link, by its address: there is no name that could lead elsewhere. */
export interface MetadataPlace {
  readonly address: string;
  readonly port: number;
}

/** Where a machine asks who it is. Tests have their own; no set and no caller says it. */
export interface MetadataServices {
  /** Of a machine: one address in all clouds. */
  readonly instance: MetadataPlace;
  /** Of a task in a container of Amazon's; its keys lie at the path that Amazon gave the task. */
  readonly container?: MetadataPlace & { readonly path: string };
}

/** The link-local address that Amazon, Google and Microsoft document for it. */
const INSTANCE: MetadataPlace = { address: '169.254.169.254', port: 80 };

/** The one that Amazon documents for containers ("Task IAM role"). */
const CONTAINER: MetadataPlace = { address: '169.254.170.2', port: 80 };

/**
 * The services of this machine.
 *
 * @param containerPath what Amazon's container agent put into the environment of this service; it names no other server
 */
export function metadataServices(containerPath: string | undefined): MetadataServices {
  const isPath = containerPath !== undefined && /^\/[\x21-\x7e]{1,1024}$/.test(containerPath);
  return { instance: INSTANCE, ...(isPath ? { container: { ...CONTAINER, path: containerPath } } : {}) };
}

/** One request to a metadata service. Nothing of the set goes there. */
export type AskMetadata = (
  method: 'GET' | 'PUT',
  path: string,
  headers: Readonly<Record<string, string>>,
) => Promise<Answer>;

/**
 * Asks a metadata service: bounded in time and bytes like everything else, never by a proxy, no redirect followed.
 *
 * @throws ProbeFailure `identity_missing` or `identity_not_told`
 */
export async function withMetadata<Value>(
  { address, port }: MetadataPlace,
  signal: AbortSignal,
  use: (ask: AskMetadata) => Promise<Value>,
): Promise<Value> {
  try {
    return await within(IDENTITY_MS, signal, async (signal) => {
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
    throw error instanceof ProbeFailure ? notTold(error) : error;
  }
}

/** What a service says to a machine that has no identity is for each cloud to know; this is everything else. */
export function refusalOf({ status }: Answer): ProbeFailure {
  return new ProbeFailure('identity_not_told', { field: 'use_iam', subject: `HTTP ${status}` });
}

export function missingIdentity(): ProbeFailure {
  return new ProbeFailure('identity_missing', { field: 'use_iam' });
}

/** Nobody was there, or something that is no metadata service. */
function notTold(failure: ProbeFailure): ProbeFailure {
  if (failure.reason.startsWith('identity_')) return failure;
  return new ProbeFailure('identity_not_told', { field: 'use_iam', subject: failure.reason.replaceAll('_', ' ') });
}
