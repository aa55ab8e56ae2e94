import type { Socket } from 'node:net';

import { getPeerAddress } from '../kernel/libc.ts';
import { descriptorOf } from '../kernel/peer.ts';
import type { Peer } from '../kernel/peer.ts';
import { parseLoadAddress } from './address.ts';
import type { LoadRequest } from './address.ts';

/** The systemd instance that a daemon serves. */
export interface ServedManager {
  /** The host's, or the one of the daemon's own user. */
  readonly kind: 'system' | 'user';
  readonly uid: number;
}

/** The peer is not systemd, or speaks for a unit that it is not in; the message quotes nothing that the peer sent. */
export class UntrustedPeerError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'UntrustedPeerError';
  }
}

/**
 * Returns what systemd asks for on a connection. Anybody can bind an address that looks like systemd's, so it is
 * believed only from root (in a user's own daemon, only from that user), and only if the kernel says that the process,
 * systemd's helper, is in the very unit that it speaks for.
 *
 * @throws UntrustedPeerError
 */
export function authenticateRequest(socket: Socket, peer: Peer, { kind, uid }: ServedManager): LoadRequest {
  const request = parseLoadAddress(getPeerAddress(descriptorOf(socket)));
  if (request === undefined) throw new UntrustedPeerError('the address is not one of systemd');
  if (peer.uid !== (kind === 'system' ? 0 : uid)) throw new UntrustedPeerError('the peer is another user');
  const unit = kind === 'system' ? peer.unit() : peer.userUnit();
  if (unit !== request.unit) throw new UntrustedPeerError('the peer is in another unit');
  return request;
}
