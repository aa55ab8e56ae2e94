import type { CheckId } from '../../src/validation.ts';

/** What checks are called on a screen, where it is not the name that they have in the interface. */
const TITLES: { readonly [Check in CheckId]?: string } & Readonly<Record<string, string>> = {
  shape: 'values',
  resolve: 'name',
  connect: 'connection',
  tls: 'TLS',
  key: 'keys',
};

/** What a check is called on a screen; a newer daemon may check more than is known here. */
export function titleOfCheck(check: string): string {
  return (Object.hasOwn(TITLES, check) ? TITLES[check] : undefined) ?? check.replaceAll('_', ' ');
}
