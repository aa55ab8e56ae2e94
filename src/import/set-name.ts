import { NAME_LENGTH_MAX } from '../limits.ts';

/** What somebody called something, as a part of a name can be: `My Backup` is `my_backup`. Empty where nothing is left. */
export function labelOf(text: string): string {
  return text
    .slice(0, NAME_LENGTH_MAX)
    .toLowerCase()
    .replaceAll(/[^a-z0-9_.-]/g, '_')
    .replace(/^[_.-]+/, '');
}

/**
 * The name of a set: that of the provider, and what the file calls it behind that: `aws`, `aws_work`. A remote that is called
 * `minio` or `minio-lab` is not `minio_minio`.
 */
export function setNameOf(provider: string, label: string | undefined): string {
  const part = label === undefined ? '' : labelOf(label);
  if (part === '' || part === provider) return provider;
  return `${provider}_${part.replace(new RegExp(`^${provider}[_.-]`), '')}`;
}

/** The set that stands in for another one: `aws` and `aws_alt`. One that is an alternate already stays. */
export function alternateOf(set: string): string {
  return /(?:^|_)alt$/.test(set) ? set : `${set}_alt`;
}
