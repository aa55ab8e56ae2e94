import { formatCount } from './text.ts';

const UNITS: readonly (readonly [name: string, ms: number])[] = [
  ['year', 365 * 86_400_000],
  ['month', 30 * 86_400_000],
  ['day', 86_400_000],
  ['hour', 3_600_000],
  ['minute', 60_000],
];

/**
 * Formats how long ago something was, in the largest unit that fits: `3 days ago`. A time that lies in the future,
 * because the clock was set back since, is shown as `in 3 days`.
 */
export function formatAge(timeMs: number, nowMs: number): string {
  const age = nowMs - timeMs;
  for (const [name, ms] of UNITS) {
    const count = Math.floor(Math.abs(age) / ms);
    const span = formatCount(count, name);
    if (count >= 1) return age > 0 ? `${span} ago` : `in ${span}`;
  }
  return 'just now';
}

/** Formats a time span in the largest unit that divides it: `6 hours`, `90 minutes`. */
export function formatInterval(ms: number): string {
  const [name, unit] = UNITS.find(([, each]) => ms >= each && ms % each === 0) ?? ['second', 1000];
  return formatCount(Math.round(ms / unit), name);
}

/** Formats a point in time, to the second: `2026-01-31 12:00:00 UTC`. */
export function formatTime(timeMs: number): string {
  const date = new Date(timeMs);
  return Number.isNaN(date.getTime()) ? 'unknown' : `${date.toISOString().slice(0, 19).replace('T', ' ')} UTC`;
}
