/** A key with its value in a file, and the line of the key. */
export interface Entry {
  readonly key: string;
  readonly value: string;
  readonly line: number;
}

/** Folds a key to lower case without separators: `AWS_ACCESS_KEY_ID` and `aws-access-key-id` are the same key. */
export function foldKey(key: string): string {
  return key.toLowerCase().replaceAll(/[-_. ]/g, '');
}
