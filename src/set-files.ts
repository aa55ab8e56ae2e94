import type { EnvironmentChange } from './environment.ts';

/** The forms in which one file contains a whole set; each is the ending of the file's name. */
export const SET_FORMS = ['env', 'json', 'aws'] as const;

export type SetForm = (typeof SET_FORMS)[number];

/** The parts of a file name such as `aws.env`. */
export interface SetFileName {
  readonly set: string;
  readonly form: SetForm;
}

/** Splits a name such as `aws.env`. Returns undefined for a name without one of these endings. */
export function parseSetFileName(text: string): SetFileName | undefined {
  const form = SET_FORMS.find((ending) => text.endsWith(`.${ending}`));
  if (form === undefined || text.length === form.length + 1) return undefined;
  return { set: text.slice(0, -(form.length + 1)), form };
}

/**
 * Formats the variables of a set as an environment file. `sh` (`set -a; . FILE`) and systemd (`EnvironmentFile=`,
 * systemd.exec(5)) read it alike: in double quotes, both remove a backslash before `"`, `\`, `$` and `` ` ``.
 */
export function formatEnvironmentFile({ set }: EnvironmentChange): string {
  return [...set].map(([name, value]) => `${name}="${value.replaceAll(/["\\$`]/g, '\\$&')}"\n`).join('');
}

/** Formats the fields of a set as one JSON object of strings. */
export function formatJsonFile(values: ReadonlyMap<string, string>): string {
  return `${JSON.stringify(Object.fromEntries(values))}\n`;
}

/**
 * Formats the keys of a set as a file for `AWS_SHARED_CREDENTIALS_FILE`, with the single profile `default`. Returns
 * undefined if the set lacks one of the two keys, or if a value has characters other than visible ASCII.
 */
export function formatAwsFile(values: ReadonlyMap<string, string>): string | undefined {
  const lines = AWS_OPTIONS.flatMap(([option, field]) => {
    const value = values.get(field);
    return value === undefined ? [] : [{ option, value }];
  });
  const isWhole = values.has('access_key') && values.has('secret_key');
  if (!isWhole || lines.some(({ value }) => !/^[\x21-\x7e]+$/.test(value))) return undefined;
  return `[default]\n${lines.map(({ option, value }) => `${option} = ${value}\n`).join('')}`;
}

/** Options of the shared credentials file, each with the field that its value comes from. */
const AWS_OPTIONS = [
  ['aws_access_key_id', 'access_key'],
  ['aws_secret_access_key', 'secret_key'],
  ['aws_session_token', 'session_token'],
  ['region', 'region'],
] as const;
