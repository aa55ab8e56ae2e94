import type { CheckId } from '../../src/validation.ts';

/** Titles of checks that differ from their names in the interface. */
const TITLES: { readonly [Check in CheckId]?: string } & Readonly<Record<string, string>> = {
  shape: 'values',
  resolve: 'name',
  connect: 'connection',
  tls: 'TLS',
  key: 'keys',
};

/** Returns the title of a check for display. A newer daemon may have checks that are not known here. */
export function titleOfCheck(check: string): string {
  return (Object.hasOwn(TITLES, check) ? TITLES[check] : undefined) ?? check.replaceAll('_', ' ');
}
