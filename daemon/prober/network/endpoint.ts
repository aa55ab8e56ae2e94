/** A server, as a set names it. */
export interface Endpoint {
  /** A name or an address, without brackets. */
  readonly host: string;
  readonly port: number;
  readonly isTls: boolean;
  /** Certificate authorities in PEM that replace the host's own. */
  readonly authorities?: string;
  /** If false, any certificate is accepted. */
  readonly isVerified: boolean;
  /** Whether link-local addresses and metadata services are allowed. */
  readonly isLinkLocalAllowed: boolean;
  /** The field of the set that names the server; absent if none does. */
  readonly field?: string;
  /** The proxy through which the server is reached. A `proxy` of the proxy itself is ignored. */
  readonly proxy?: Endpoint;
}

/** Formats a server as `host:port`. */
export function authorityOf({ host, port }: Endpoint): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}
