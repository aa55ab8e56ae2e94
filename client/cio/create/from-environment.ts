import type { Field, Provider } from '../../../src/providers/provider.ts';
import { CommandError } from '../command-error.ts';
import { brokenVariables } from '../raw-arguments.ts';
import { isKeyField, refusalOf, type GivenValue, type GivenValues } from './given-values.ts';
import { readFileText } from './read-text.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Variables besides those of restic and the provider's own tools, by field id: those of pharmer, and those of the AWS
 * SDKs for a server other than Amazon's.
 */
const MORE_VARIABLES: { readonly [provider: string]: { readonly [field: string]: readonly string[] } } = {
  google: { project_id: ['GCE_PROJECT_ID'], service_account: ['GCE_SERVICE_ACCOUNT'] },
  aws: { endpoint: ['AWS_ENDPOINT_URL_S3', 'AWS_ENDPOINT_URL'] },
  minio: { endpoint: ['AWS_ENDPOINT_URL_S3', 'AWS_ENDPOINT_URL'] },
  s3: { endpoint: ['AWS_ENDPOINT_URL_S3', 'AWS_ENDPOINT_URL'] },
};

/** Variables that hold the path of a file with the value, by field id. */
const FILE_VARIABLES: { readonly [provider: string]: { readonly [field: string]: string } } = {
  google: { service_account: 'GOOGLE_APPLICATION_CREDENTIALS' },
};

/**
 * Fields that are not read: a proxy belongs to this host, not to a credential, and is taken only with `--use-proxy`.
 */
const IGNORED_FIELDS: readonly string[] = ['proxy'];

/**
 * Reads the fields of a provider from its environment variables. The provider's own keys are required; the repository
 * and its password are taken if they are set.
 *
 * @param isGiven tells whether a field is given elsewhere, and not read here
 * @throws CommandError `InvalidInput`, which names the variable that is missing, empty or not valid
 */
export function readEnvironment(
  provider: Provider,
  environment: Environment,
  isGiven: (field: Field) => boolean,
): GivenValues {
  const broken = new Set(brokenVariables(environment));
  const values = new Map<string, GivenValue>();
  for (const field of provider.fields) {
    if (IGNORED_FIELDS.includes(field.id) || isGiven(field)) continue;
    const value = readField(provider, field, environment, broken);
    if (value !== undefined) values.set(field.id, value);
    else if (isKeyField(field)) throw missing(namesOf(provider, field), environment);
  }
  return values;
}

function readField(
  provider: Provider,
  field: Field,
  environment: Environment,
  broken: ReadonlySet<string>,
): GivenValue | undefined {
  const path = FILE_VARIABLES[provider.id]?.[field.id];
  const name = chooseVariable(
    field,
    [...moreVariablesOf(provider, field), ...(path === undefined ? [] : [path])],
    environment,
  );
  if (name === undefined) return undefined;
  if (broken.has(name)) throw invalid(`${name} is not UTF-8 text`);
  const value = environment[name] ?? '';
  const text = name === path ? readFileText(value, name) : value;
  const reason = refusalOf(field, text);
  if (reason !== undefined) throw invalid(`${name} is not valid: ${reason}`, `unset ${name}, or give it a value`);
  return { text, source: name };
}

/**
 * Chooses the variable for a field: one of the field's own variables, which must agree, else the first of the others.
 *
 * @param others variables of single tools, in order of preference
 */
function chooseVariable(field: Field, others: readonly string[], environment: Environment): string | undefined {
  const found = field.variables.filter((name) => isThere(environment[name], field));
  const [first] = found;
  if (first === undefined) return others.find((name) => isThere(environment[name], field));
  const blank = found.find((name) => environment[name]?.trim() === '');
  const differing = found.find((name) => environment[name] !== environment[first]);
  if (blank === undefined && differing !== undefined) throw invalid(`${first} and ${differing} differ`, 'unset one');
  return blank ?? first;
}

/** Tells whether a variable is set. An empty one counts as unset, but for a required field, where it is an error. */
function isThere(value: string | undefined, { isRequired }: Field): boolean {
  return value !== undefined && (isRequired || value !== '');
}

function moreVariablesOf(provider: Provider, field: Field): readonly string[] {
  return MORE_VARIABLES[provider.id]?.[field.id] ?? [];
}

function namesOf(provider: Provider, field: Field): string[] {
  const path = FILE_VARIABLES[provider.id]?.[field.id];
  return [...field.variables, ...moreVariablesOf(provider, field), ...(path === undefined ? [] : [path])];
}

function missing(names: readonly string[], environment: Environment): CommandError {
  const [first = '', ...others] = names;
  const or = others.length === 0 ? '' : ` (nor ${others.join(', ')})`;
  const similar = Object.keys(environment).find((name) => name.toUpperCase() === first && name !== first);
  return invalid(`${first}${or} is not set`, similar === undefined ? `export ${first}=…` : `there is ${similar}`);
}

function invalid(message: string, hint?: string): CommandError {
  return new CommandError('InvalidInput', `${message}; nothing was stored`, hint);
}
