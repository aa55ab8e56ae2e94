import type { SetContent } from './set-content.ts';
import { toTimestamp } from './timestamp.ts';

/** A set in the form of a credential object of pharmer. The keys of its data are field ids. */
export interface CredentialObject {
  readonly apiVersion: 'cloud.pharmer.io/v1';
  readonly kind: 'Credential';
  readonly metadata: { readonly creationTimestamp?: string; readonly name: string };
  readonly spec: { readonly data: Readonly<Record<string, string>>; readonly provider?: string };
}

/**
 * Converts a set to a credential object.
 *
 * @param created when the first of its credentials was stored, in milliseconds since 1970; undefined if not known
 */
export function toObject({ set, provider, values }: SetContent, created: number | undefined): CredentialObject {
  return {
    apiVersion: 'cloud.pharmer.io/v1',
    kind: 'Credential',
    metadata: { ...(created !== undefined && { creationTimestamp: toTimestamp(created) }), name: set },
    spec: { data: Object.fromEntries(values), ...(provider !== undefined && { provider: provider.id }) },
  };
}
