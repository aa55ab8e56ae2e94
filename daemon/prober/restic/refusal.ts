import type { Reason } from '../../../src/validation.ts';

/** Why a repository cannot be opened. */
export interface Refusal {
  readonly reason: Extract<
    Reason,
    'no_keys' | 'wrong_password' | 'password_surrounded' | 'too_many_keys' | 'not_a_repository' | 'untrusted_parameters'
  >;
  /** The object that is at fault, such as `config` or `keys/…`, or the number of keys that were tried. */
  readonly subject?: string;
}
