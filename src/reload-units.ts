import { UNIT_NAME_LENGTH_MAX } from './units.ts';

/** Units that a set may name, at most: they are reloaded after each change of it. */
const RELOAD_UNITS_MAX = 16;

/**
 * A unit that systemd can reload or restart (systemd.unit(5)), of the kinds that something can be granted to. A template
 * by itself is none.
 */
const UNIT_NAME = /^[A-Za-z0-9:_.\\][A-Za-z0-9:_.\\-]*(?:@[A-Za-z0-9:_.\\@-]+)?\.(?:service|socket|mount|swap)$/;

/** The units of a set's field `reload_units`, with commas or white space between them; or what is wrong with it. */
export function parseReloadUnits(text: string): readonly string[] | { readonly reason: string } {
  const units = [...new Set(text.split(/[\s,]+/).filter((word) => word !== ''))];
  if (units.length === 0) return { reason: 'it names no unit' };
  if (units.length > RELOAD_UNITS_MAX) return { reason: `it names more than ${RELOAD_UNITS_MAX} units` };
  const index = units.findIndex((unit) => unit.length > UNIT_NAME_LENGTH_MAX || !UNIT_NAME.test(unit));
  if (index === -1) return units;
  return { reason: `word ${index + 1} is no unit; one looks like restic.service or restic@home.service` };
}
