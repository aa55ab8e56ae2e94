import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  JOBS_MAX,
  JOBS_PER_USER_MAX,
  JobBounds,
  SCHEDULED_JOBS_MAX,
  USERS_JOBS_MAX,
} from '../../../daemon/probe/job-bounds.ts';
import type { JobOwner } from '../../../daemon/probe/job-bounds.ts';
import { isCredentialError } from '../../../src/errors.ts';

const ROOT: JobOwner = { uid: 0, isAdministrator: true };

function user(uid: number): JobOwner {
  return { uid, isAdministrator: false };
}

/** Reserves a place and returns the function that frees it, or undefined if there is none left. */
function reserve(bounds: JobBounds, owner: JobOwner): (() => void) | undefined {
  try {
    return bounds.reserve(owner);
  } catch (error) {
    assert.ok(isCredentialError(error, 'Busy'));
    return undefined;
  }
}

function reserveAll(bounds: JobBounds, owner: JobOwner): (() => void)[] {
  const reserved: (() => void)[] = [];
  for (let next = reserve(bounds, owner); next !== undefined; next = reserve(bounds, owner)) reserved.push(next);
  return reserved;
}

describe('JobBounds', () => {
  it('allows an administrator all places of callers, and a user only some', () => {
    assert.equal(reserveAll(new JobBounds(), ROOT).length, JOBS_MAX);
    assert.equal(reserveAll(new JobBounds(), user(1000)).length, JOBS_PER_USER_MAX);
  });

  it('reserves some places for administrators, however many users there are', () => {
    const bounds = new JobBounds();
    const users = Array.from({ length: 100 }, (_, index) => reserveAll(bounds, user(1000 + index)).length);
    assert.equal(
      users.reduce((sum, count) => sum + count, 0),
      USERS_JOBS_MAX,
    );
    assert.equal(reserveAll(bounds, ROOT).length, JOBS_MAX - USERS_JOBS_MAX);
  });

  it('keeps the places of the schedule and of callers apart', () => {
    const bounds = new JobBounds();
    reserveAll(bounds, ROOT);
    assert.equal(reserveAll(bounds, 'schedule').length, SCHEDULED_JOBS_MAX);
    const other = new JobBounds();
    reserveAll(other, 'schedule');
    assert.equal(reserveAll(other, ROOT).length, JOBS_MAX);
  });

  it('has a place exactly if the bounds allow one, whatever was reserved and freed before', () => {
    const owner = fc.oneof(
      fc.constant(ROOT),
      fc.constant<JobOwner>('schedule'),
      fc.integer({ min: 1000, max: 1005 }).map(user),
    );
    const steps = fc.array(fc.tuple(owner, fc.nat()), { maxLength: 100, size: 'max' });
    fc.assert(
      fc.property(steps, (all) => {
        const bounds = new JobBounds();
        const held: { readonly who: JobOwner; readonly release: () => void }[] = [];
        const isRoomFor = (who: JobOwner): boolean => {
          const owners = held.map((job) => job.who);
          const callers = owners.filter((other) => other !== 'schedule');
          if (who === 'schedule') return owners.length - callers.length < SCHEDULED_JOBS_MAX;
          const users = callers.filter(({ isAdministrator }) => !isAdministrator);
          const own = users.filter(({ uid }) => uid === who.uid);
          const isRoomForUser = users.length < USERS_JOBS_MAX && own.length < JOBS_PER_USER_MAX;
          return callers.length < JOBS_MAX && (who.isAdministrator || isRoomForUser);
        };
        for (const [who, which] of all) {
          const isRoom = isRoomFor(who);
          const release = reserve(bounds, who);
          assert.equal(release !== undefined, isRoom);
          if (release !== undefined) held.push({ who, release });
          if (which % 3 === 0) held.splice(which % Math.max(held.length, 1), 1)[0]?.release();
        }
      }),
    );
  });
});
