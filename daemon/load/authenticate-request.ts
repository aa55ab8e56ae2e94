import type { Socket } from 'node:net';

import { getPeerAddress } from '../kernel/libc.ts';
import { descriptorOf } from '../kernel/peer.ts';
import type { Peer } from '../kernel/peer.ts';
import { parseLoadAddress } from './address.ts';
import type { LoadRequest } from './address.ts';

/** Whose systemd a daemon serves. */
export interface ServedManager {
  /** The host's, or the one of the daemon's own user. */
  readonly kind: 'system' | 'user';
  readonly uid: number;
}

/** A peer is not systemd, or speaks for a unit that it is not in; the message quotes nothing that it sent. */
export class NotBelievedError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'NotBelievedError';
  }
}

/**
 * What systemd asks for at a connection. Anybody can bind an address that looks like systemd's, so it is believed from
 * root alone (from the user himself, where the daemon is his), and only where the kernel says that the process, systemd's
 * helper, is in the very unit that it speaks for.
 *
 * @throws NotBelievedError
 */
export function requesterOf(socket: Socket, peer: Peer, { kind, uid }: ServedManager): LoadRequest {
  const request = parseLoadAddress(getPeerAddress(descriptorOf(socket)));
  if (request === undefined) throw new NotBelievedError('the address is not one of systemd');
  if (peer.uid !== (kind === 'system' ? 0 : uid)) throw new NotBelievedError('the peer is another user');
  const unit = kind === 'system' ? peer.unit() : peer.userUnit();
  if (unit !== request.unit) throw new NotBelievedError('the peer is in another unit');
  return request;
}
