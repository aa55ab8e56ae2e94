import { metadataServices, type MetadataServices } from './identity/metadata.ts';
import { systemLookup, type Lookup } from './network/resolve.ts';

/** What a prober has of the machine that it runs on. Nothing of it comes with a job. */
export interface Surroundings {
  readonly lookup: Lookup;
  readonly metadata: MetadataServices;
  /** Authorities in PEM that take the place of the host's own where only those are good enough, in tests. */
  readonly authorities?: string;
}

/** @param containerPath see {@link metadataServices} */
export function surroundingsOf(containerPath?: string): Surroundings {
  return { lookup: systemLookup, metadata: metadataServices(containerPath) };
}
