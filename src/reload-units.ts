import { UNIT_NAME_LENGTH_MAX } from './units.ts';

/** Most units that a set may name. All of them are reloaded after each change of the set. */
const RELOAD_UNITS_MAX = 16;

/**
 * A unit that systemd can reload or restart (systemd.unit(5)), of a type that credentials can be granted to. A template
 * without an instance name does not match.
 */
const UNIT_NAME = /^[A-Za-z0-9:_.\\][A-Za-z0-9:_.\\-]*(?:@[A-Za-z0-9:_.\\@-]+)?\.(?:service|socket|mount|swap)$/;

/** Parses a set's field `reload_units`, units separated by commas or white space. Returns a reason if it is invalid. */
export function parseReloadUnits(text: string): readonly string[] | { readonly reason: string } {
  const units = [...new Set(text.split(/[\s,]+/).filter((word) => word !== ''))];
  if (units.length === 0) return { reason: 'it names no unit' };
  if (units.length > RELOAD_UNITS_MAX) return { reason: `it names more than ${RELOAD_UNITS_MAX} units` };
  const index = units.findIndex((unit) => unit.length > UNIT_NAME_LENGTH_MAX || !UNIT_NAME.test(unit));
  if (index === -1) return units;
  return { reason: `word ${index + 1} is not a unit; it should look like restic.service or restic@home.service` };
}
