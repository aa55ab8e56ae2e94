/** A server, as a set names it. */
export interface Endpoint {
  /** A name or an address, without brackets. */
  readonly host: string;
  readonly port: number;
  readonly isTls: boolean;
  /** Authorities in PEM that take the place of the host's own. */
  readonly authorities?: string;
  /** False: any certificate is taken. */
  readonly isVerified: boolean;
  /** Whether link-local addresses and metadata services are allowed. */
  readonly isLinkLocalAllowed: boolean;
  /** The field of the set that names it; absent: none does. */
  readonly field?: string;
  /** Asked to pass everything on to it; its own `proxy` is of no account. */
  readonly proxy?: Endpoint;
}

/** As it is shown: `host:port`. */
export function authorityOf({ host, port }: Endpoint): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}
