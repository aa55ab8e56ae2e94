import type { Reason } from '../../../src/validation.ts';

/** Why a repository does not open. */
export interface Refusal {
  readonly reason: Extract<
    Reason,
    'no_keys' | 'wrong_password' | 'password_surrounded' | 'too_many_keys' | 'not_a_repository' | 'untrusted_parameters'
  >;
  /** The object that is at fault, as in `config` or `keys/…`. */
  readonly subject?: string;
}
