const UNIT_MS: Readonly<Record<string, number>> = {
  m: 60 * 1000,
  h: 60 * 60 * 1000,
  d: 24 * 60 * 60 * 1000,
};

/** Shortest interval: servers are not asked more often. */
export const INTERVAL_MIN_MS: number = 60 * 1000;
export const INTERVAL_MAX_MS: number = 30 * 24 * 60 * 60 * 1000;

/** Default interval with `--system`, as systemd starts the daemon of a host. */
export const SYSTEM_INTERVAL_MS: number = 6 * 60 * 60 * 1000;

/**
 * Reads how often sets are validated: `off`, or a number with m, h or d.
 *
 * @returns milliseconds, `off`, or the reason why it is neither
 */
export function parseInterval(text: string): number | 'off' | { readonly reason: string } {
  if (text === 'off') return 'off';
  const [, digits = '', unit = ''] = /^(\d{1,6})([mhd])$/.exec(text) ?? [];
  const ms = Number(digits) * (UNIT_MS[unit] ?? 0);
  if (digits === '') return { reason: 'is neither off nor a time from 1m to 30d, like 30m, 6h or 1d' };
  if (ms < INTERVAL_MIN_MS || ms > INTERVAL_MAX_MS) return { reason: 'is not from 1m to 30d' };
  return ms;
}
