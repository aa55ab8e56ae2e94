import { atEnd, type Scope } from '../../support/scope.ts';

/** Sets LC_ALL of this process until the test is over. */
export function withLocale(scope: Scope, locale: string): void {
  const before = process.env['LC_ALL'];
  process.env['LC_ALL'] = locale;
  atEnd(scope, () => {
    if (before === undefined) delete process.env['LC_ALL'];
    else process.env['LC_ALL'] = before;
  });
}
