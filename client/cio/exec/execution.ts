import { environmentOf, fileVariablesOf, type EnvironmentChange } from '../../../src/environment.ts';
import { CredentialError } from '../../../src/errors.ts';
import { requireProvider, type SetContent } from '../../../src/forms/set-content.ts';
import { servedEnvironmentOf, type CredentialEndpoint } from '../../../src/forms/served-environment.ts';
import { FIELD_IDS, fieldOf } from '../../../src/providers/registry.ts';
import { usageError } from '../command-error.ts';
import type { Environment } from '../process-image.ts';
import { SECRET_BYTES_MIN } from './secret-patterns.ts';

/** Variables to set to the path of a file, each with the field that is the file's content. */
export type FileVariables = ReadonlyMap<string, string>;

/**
 * Parses the arguments of `--file`, each `VARIABLE=FIELD`.
 *
 * @throws CommandError `Usage`
 */
export function parseFileVariables(words: readonly string[]): FileVariables {
  return new Map(
    words.map((word) => {
      const [, variable, field] = /^([A-Za-z_][A-Za-z0-9_]*)=([a-z_]+)$/.exec(word) ?? [];
      if (variable !== undefined && field !== undefined && FIELD_IDS.includes(field)) return [variable, field] as const;
      throw usageError('--file takes VARIABLE=FIELD', `FIELD is one of ${FIELD_IDS.toSorted().join(', ')}`);
    }),
  );
}

/** The changes to a command's environment, and by variable, the contents of the files to create. */
export interface Execution {
  readonly change: EnvironmentChange;
  readonly files: ReadonlyMap<string, string>;
}

/**
 * Plans the environment and the files of a command.
 *
 * @param endpoint where the command asks for its keys; undefined if it has them in its environment
 * @throws CredentialError `Incomplete`
 */
export function planExecution(
  content: SetContent,
  asked: FileVariables,
  endpoint: CredentialEndpoint | undefined,
): Execution {
  const { set, values } = content;
  const provider = requireProvider(content);
  const change = endpoint === undefined ? environmentOf(set, provider, values) : servedEnvironmentOf(content, endpoint);
  const files = [...fileVariablesOf(provider, values), ...asked].map(([variable, field]) => {
    const value = values.get(field);
    if (value === undefined) throw new CredentialError('Incomplete', { set, missing: [field] });
    return [variable, value] as const;
  });
  return { change, files: new Map(files) };
}

/** Returns the caller's environment with the changes of a set applied. */
export function applyChange(caller: NodeJS.ProcessEnv, { set, unset }: EnvironmentChange): Environment {
  const removed = new Set(unset);
  const kept = Object.entries(caller).filter(([name]) => !removed.has(name));
  return Object.fromEntries([...kept, ...set]) as Record<string, string>;
}

/** Returns the secrets of a set that are long enough to be masked. */
export function secretsOf({ provider, values }: SetContent): string[] {
  return [...values]
    .filter(
      ([field, value]) => fieldOf(field, provider)?.isSecret !== false && Buffer.byteLength(value) >= SECRET_BYTES_MIN,
    )
    .map(([, value]) => value);
}
