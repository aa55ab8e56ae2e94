import { CredentialError } from '../errors.ts';
import type { Provider } from '../providers/provider.ts';
import { memberName, missingOf } from '../sets.ts';

/** A set with its values as text, all from one generation. */
export interface SetContent {
  readonly set: string;
  /** Undefined if the set has no supported provider. */
  readonly provider: Provider | undefined;
  /** By field id. */
  readonly values: ReadonlyMap<string, string>;
}

/**
 * Returns the provider of a set that the daemon has found complete.
 *
 * @throws CredentialError `Incomplete` if only a newer daemon knows the provider
 */
export function requireProvider({ set, provider }: SetContent): Provider {
  if (provider === undefined) throw new CredentialError('Incomplete', { set, missing: ['provider'] });
  return provider;
}

/**
 * Returns the provider of a set, after checking that the set has all required fields.
 *
 * @param dispensable required fields that the caller does not need
 * @throws CredentialError `Incomplete`
 */
export function requireComplete(content: SetContent, dispensable: readonly string[] = []): Provider {
  const { set, provider, values } = content;
  const missing = missingOf(provider, new Set(values.keys()), values.get('use_iam')).filter(
    (field) => !dispensable.includes(field),
  );
  if (provider === undefined || missing.length > 0) throw new CredentialError('Incomplete', { set, missing });
  return provider;
}

/** @throws CredentialError `InvalidValue` for the first value with a NUL byte, which ends an environment variable */
export function refuseNul({ set, values }: SetContent): void {
  for (const [field, value] of values) {
    if (value.includes('\0')) throw notExpressible(set, field, 'it has a NUL byte, and no variable can hold it');
  }
}

/** Returns the error for a value that cannot be expressed in some form. */
export function notExpressible(set: string, field: string, reason: string): CredentialError<'InvalidValue'> {
  return new CredentialError('InvalidValue', { name: memberName(set, field), reason });
}
