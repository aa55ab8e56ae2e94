/** A key and a value of a file, with the line of the key. */
export interface Entry {
  readonly key: string;
  readonly value: string;
  readonly line: number;
}

/** A key without case and without what stands between its words: `AWS_ACCESS_KEY_ID` and `aws-access-key-id` are one. */
export function foldKey(key: string): string {
  return key.toLowerCase().replaceAll(/[-_. ]/g, '');
}
