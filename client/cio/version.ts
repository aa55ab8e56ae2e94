import { readFileSync } from 'node:fs';

/** Defined by the bundler. */
declare const CIO_VERSION: string | undefined;

/** Returns the version of the package. */
export function packageVersion(): string {
  if (typeof CIO_VERSION === 'string') return CIO_VERSION;
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { readonly version: string }).version;
}
