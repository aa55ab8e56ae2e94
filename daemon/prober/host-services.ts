import { metadataServices, type MetadataServices } from './identity/metadata.ts';
import { systemLookup, type Lookup } from './network/resolve.ts';

/** What the prober uses of the machine that it runs on. None of it comes from a job. */
export interface HostServices {
  readonly lookup: Lookup;
  readonly metadata: MetadataServices;
  /** For tests: certificate authorities in PEM that replace the host's own where the set's own are not accepted. */
  readonly authorities?: string;
}

/** @param containerPath see {@link metadataServices} */
export function hostServicesOf(containerPath?: string): HostServices {
  return { lookup: systemLookup, metadata: metadataServices(containerPath) };
}
