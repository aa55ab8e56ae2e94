import { AWS } from './aws.ts';
import { AZURE } from './azure.ts';
import { GOOGLE } from './google.ts';
import { MINIO } from './minio.ts';
import type { Field, Provider } from './provider.ts';
import { S3_FIELDS } from './s3-fields.ts';
import { S3 } from './s3.ts';

/** All supported providers by id. A new provider takes a file of its own and a line here. */
export const PROVIDERS: ReadonlyMap<string, Provider> = new Map(
  [AWS, MINIO, S3, AZURE, GOOGLE].map((provider) => [provider.id, provider]),
);

/** The ids of the providers that speak S3. They have the same fields, and a set of one may be declared as another. */
export const S3_PROVIDER_IDS: ReadonlySet<string> = new Set(
  [...PROVIDERS.values()].filter(({ fields }) => fields === S3_FIELDS).map(({ id }) => id),
);

/** The ids of all fields of all providers, longest first, so that the first that matches a suffix is the longest. */
export const FIELD_IDS: readonly string[] = [
  ...new Set([...PROVIDERS.values()].flatMap((provider) => provider.fields.map((field) => field.id))),
].toSorted((a, b) => b.length - a.length || (a < b ? -1 : 1));

const fieldsById: ReadonlyMap<string, Field> = new Map(
  // In reverse, because a later entry of a Map replaces an earlier one.
  [...PROVIDERS.values()]
    .toReversed()
    .flatMap((provider) => provider.fields.map((field) => [field.id, field] as const)),
);

/**
 * Returns a provider's field by its id. If the provider is unknown or has no such field, returns the field of the first
 * provider that has one.
 */
export function fieldOf(id: string, provider: Provider | undefined): Field | undefined {
  return provider?.fields.find((field) => field.id === id) ?? fieldsById.get(id);
}
