import { CredentialError } from '../../src/errors.ts';

/** For whom a validation is done: a caller, or the daemon's own schedule. */
export type JobOwner = 'schedule' | { readonly uid: number; readonly isAdministrator: boolean };

/** Most validations of callers at a time; each is a process that talks to a network. */
export const JOBS_MAX = 16;

/** Most of the schedule's: on top of the callers', so that neither keeps the other waiting. */
export const SCHEDULED_JOBS_MAX = 2;

/** Most of all users who are no administrators together: an administrator always finds some left. */
export const USERS_JOBS_MAX = 12;

/** Most of one user who is no administrator. */
export const JOBS_PER_USER_MAX = 4;

/** Counts the validations that are under way, so that no user of the host has all of them. */
export class JobBounds {
  /** Of administrators and users. */
  #callers = 0;
  #scheduled = 0;
  #users = 0;
  readonly #byUid: Map<number, number> = new Map();

  /**
   * @returns what gives the place back; to be called once
   * @throws CredentialError `Busy`
   */
  take(owner: JobOwner): () => void {
    if (owner === 'schedule') {
      if (this.#scheduled >= SCHEDULED_JOBS_MAX) throw new CredentialError('Busy', {});
      this.#scheduled += 1;
      return () => void (this.#scheduled -= 1);
    }
    if (this.#callers >= JOBS_MAX) throw new CredentialError('Busy', {});
    const giveBackUsers = owner.isAdministrator ? undefined : this.#takeOfUsers(owner.uid);
    this.#callers += 1;
    return () => {
      this.#callers -= 1;
      giveBackUsers?.();
    };
  }

  #takeOfUsers(uid: number): () => void {
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
