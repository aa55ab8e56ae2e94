import type { EnvironmentChange } from './environment.ts';

/** Whole sets in one file, by the ending of its name. */
export const SET_FORMS = ['env', 'json', 'aws'] as const;

export type SetForm = (typeof SET_FORMS)[number];

/** A set, and the form that a name like `aws.env` asks for. */
export interface SetFileName {
  readonly set: string;
  readonly form: SetForm;
}

/** Undefined for a name without such an ending. */
export function parseSetFileName(text: string): SetFileName | undefined {
  const form = SET_FORMS.find((ending) => text.endsWith(`.${ending}`));
  if (form === undefined || text.length === form.length + 1) return undefined;
  return { set: text.slice(0, -(form.length + 1)), form };
}

/**
 * The variables of a set as an environment file. It means the same to `sh` (`set -a; . FILE`) and to systemd
 * (`EnvironmentFile=`, systemd.exec(5)): in double quotes both take a backslash before `"`, `\`, `$` and `` ` `` away.
 */
export function formatEnvironmentFile({ set }: EnvironmentChange): string {
  return [...set].map(([name, value]) => `${name}="${value.replaceAll(/["\\$`]/g, '\\$&')}"\n`).join('');
}

/** The fields of a set as one JSON object of strings. */
export function formatJsonFile(values: ReadonlyMap<string, string>): string {
  return `${JSON.stringify(Object.fromEntries(values))}\n`;
}

/**
 * The keys of a set as the file that `AWS_SHARED_CREDENTIALS_FILE` names, with one profile, `default`. Undefined where the
 * set has no keys of that kind, or they do not fit into a line.
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

/** Options of the shared credentials file, and the fields that they come from. */
const AWS_OPTIONS = [
  ['aws_access_key_id', 'access_key'],
  ['aws_secret_access_key', 'secret_key'],
  ['aws_session_token', 'session_token'],
  ['region', 'region'],
] as const;
