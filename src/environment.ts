import type { Provider } from './providers/provider.ts';
import { isAmazon, parseS3Repository } from './providers/s3-repository.ts';

/** What a command gets on top of its caller's environment. */
export interface EnvironmentChange {
  /** Variables to set, in a stable order. */
  readonly set: ReadonlyMap<string, string>;
  /** Variables of the caller to leave out, because they would override or contradict the set. */
  readonly clear: readonly string[];
}

/**
 * The variables by which restic, rclone and the provider's own tools take a set. The rclone remote is called like the
 * set: `aws:`, `aws_alt:`.
 *
 * @param values the set's values by field id
 */
export function environmentOf(set: string, provider: Provider, values: ReadonlyMap<string, string>): EnvironmentChange {
  const variables = new Map<string, string>();
  const contradicting = [...provider.contradicting];
  for (const field of provider.fields) {
    const value = values.get(field.id);
    if (value !== undefined) for (const name of field.variables) variables.set(name, value);
  }
  const remote = `RCLONE_CONFIG_${set.toUpperCase().replaceAll(/[^A-Z0-9_]/g, '_')}`;
  for (const [option, value] of Object.entries(provider.rclone.fixed)) variables.set(`${remote}_${option}`, value);
  for (const [option, field] of Object.entries(provider.rclone.fromFields)) {
    const value = values.get(field);
    if (value === undefined) contradicting.push(`${remote}_${option}`);
    else variables.set(`${remote}_${option}`, value);
  }
  const withEndpoint = [provider.rclone.endpoint, ...Object.keys(provider.rclone.fixedWithEndpoint)];
  contradicting.push(...withEndpoint.map((option) => `${remote}_${option}`));
  const repository = parseS3Repository(values.get('backup_repo') ?? '');
  if ('endpoint' in repository && !isAmazon(repository)) {
    variables.set(`${remote}_${provider.rclone.endpoint}`, repository.endpoint);
    for (const [option, value] of Object.entries(provider.rclone.fixedWithEndpoint)) {
      variables.set(`${remote}_${option}`, value);
    }
    variables.set(provider.endpointVariable, repository.endpoint);
  }
  return { set: variables, clear: contradicting.filter((name) => !variables.has(name)) };
}
