/** Longest name of a unit, in characters (`UNIT_NAME_MAX` of systemd less its NUL). */
export const UNIT_NAME_LENGTH_MAX = 255;

const UNIT_NAME = /^[A-Za-z0-9:_.\\-]+(?:@[A-Za-z0-9:_.\\@-]*)?\.(?:service|scope|socket|mount|swap)$/;

/** Tells whether a text can name a unit that runs processes, or a template for such units (systemd.unit(5)). */
export function isUnitName(text: string): boolean {
  return text.length <= UNIT_NAME_LENGTH_MAX && UNIT_NAME.test(text);
}

/** Tells whether a unit is a template, as `restic@.service` is. */
export function isTemplate(unit: string): boolean {
  return /^[^@]+@\.[a-z]+$/.test(unit);
}

/** Returns the template of an instance: `restic@.service` for `restic@home.service`. Undefined for any other unit. */
export function templateOf(unit: string): string | undefined {
  const match = /^([^@]+@).+(\.[a-z]+)$/.exec(unit);
  return match === null ? undefined : `${match[1]}${match[2]}`;
}
