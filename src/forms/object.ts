import type { SetContent } from './set-content.ts';
import { toTimestamp } from './timestamp.ts';

/** A set as pharmer's object. The keys of its data are the ids of our fields. */
export interface CredentialObject {
  readonly apiVersion: 'cloud.pharmer.io/v1';
  readonly kind: 'Credential';
  readonly metadata: { readonly creationTimestamp?: string; readonly name: string };
  readonly spec: { readonly data: Readonly<Record<string, string>>; readonly provider?: string };
}

/** @param created when the first of its credentials was stored, in milliseconds since 1970; undefined where it is not known */
export function toObject({ set, provider, values }: SetContent, created: number | undefined): CredentialObject {
  return {
    apiVersion: 'cloud.pharmer.io/v1',
    kind: 'Credential',
    metadata: { ...(created !== undefined && { creationTimestamp: toTimestamp(created) }), name: set },
    spec: { data: Object.fromEntries(values), ...(provider !== undefined && { provider: provider.id }) },
  };
}
