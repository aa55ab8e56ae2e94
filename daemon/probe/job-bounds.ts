import { CredentialError } from '../../src/errors.ts';

/** On whose behalf a validation runs: a caller's, or that of the daemon's own schedule. */
export type JobOwner = 'schedule' | { readonly uid: number; readonly isAdministrator: boolean };

/** Maximum number of concurrent validations for callers; each is a process that uses the network. */
export const JOBS_MAX = 16;

/** Maximum number of concurrent scheduled validations, on top of {@link JOBS_MAX}: neither kind delays the other. */
export const SCHEDULED_JOBS_MAX = 2;

/** Maximum for all users who are not administrators together; the rest is left for administrators. */
export const USERS_JOBS_MAX = 12;

/** Maximum for one user who is not an administrator. */
export const JOBS_PER_USER_MAX = 4;

/** Counts the running validations and limits them, so that no single user of the host can occupy them all. */
export class JobBounds {
  /** Validations for callers, administrators included. */
  #callers = 0;
  #scheduled = 0;
  #users = 0;
  readonly #byUid: Map<number, number> = new Map();

  /**
   * Reserves a place for one validation.
   *
   * @returns a function that frees the place; to be called exactly once
   * @throws CredentialError `Busy` if a limit is reached
   */
  reserve(owner: JobOwner): () => void {
    if (owner === 'schedule') {
      if (this.#scheduled >= SCHEDULED_JOBS_MAX) throw new CredentialError('Busy', {});
      this.#scheduled += 1;
      return () => void (this.#scheduled -= 1);
    }
    if (this.#callers >= JOBS_MAX) throw new CredentialError('Busy', {});
    const releaseUser = owner.isAdministrator ? undefined : this.#reserveForUser(owner.uid);
    this.#callers += 1;
    return () => {
      this.#callers -= 1;
      releaseUser?.();
    };
  }

  #reserveForUser(uid: number): () => void {
    const own = this.#byUid.get(uid) ?? 0;
    if (own >= JOBS_PER_USER_MAX || this.#users >= USERS_JOBS_MAX) throw new CredentialError('Busy', {});
    this.#byUid.set(uid, own + 1);
    this.#users += 1;
    return () => {
      this.#users -= 1;
      const left = (this.#byUid.get(uid) ?? 1) - 1;
      if (left === 0) this.#byUid.delete(uid);
      else this.#byUid.set(uid, left);
    };
  }
}
