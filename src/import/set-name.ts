import { NAME_LENGTH_MAX } from '../limits.ts';

/** Converts a label to characters that a name can have: `My Backup` becomes `my_backup`. Empty if none remain. */
export function labelOf(text: string): string {
  return text
    .slice(0, NAME_LENGTH_MAX)
    .toLowerCase()
    .replaceAll(/[^a-z0-9_.-]/g, '_')
    .replace(/^[_.-]+/, '');
}

/**
 * Returns the name of a set: the provider, followed by the label if there is one: `aws`, `aws_work`. The provider is
 * not repeated: the labels `minio` and `minio-lab` give `minio` and `minio_lab`.
 */
export function setNameOf(provider: string, label: string | undefined): string {
  const part = label === undefined ? '' : labelOf(label);
  if (part === '' || part === provider) return provider;
  return `${provider}_${part.replace(new RegExp(`^${provider}[_.-]`), '')}`;
}

/** Returns the name of a set's alternate: `aws_alt` for `aws`. The name of an alternate is returned as it is. */
export function alternateOf(set: string): string {
  return /(?:^|_)alt$/.test(set) ? set : `${set}_alt`;
}
