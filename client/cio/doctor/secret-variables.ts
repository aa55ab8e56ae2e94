import { PROVIDERS } from '../../../src/providers/registry.ts';

/** The environment variables for the secret fields of all providers. */
const SECRET_VARIABLES: ReadonlySet<string> = new Set(
  [...PROVIDERS.values()].flatMap(({ fields }) =>
    fields.flatMap(({ isSecret, variables }) => (isSecret ? variables : [])),
  ),
);

/** The option names of secret fields at the end of rclone's variables, behind the name of a remote. */
const RCLONE_OPTIONS: ReadonlySet<string> = new Set(
  [...PROVIDERS.values()].flatMap(({ fields, rclone }) =>
    Object.entries(rclone.fromFields).flatMap(([option, id]) =>
      fields.find((field) => field.id === id)?.isSecret === true ? [option] : [],
    ),
  ),
);

/** Tells whether an environment variable holds a secret that backup tools read. */
export function isSecretVariable(name: string): boolean {
  if (SECRET_VARIABLES.has(name)) return true;
  const isRclone = name.startsWith('RCLONE_CONFIG_') || name.startsWith('RCLONE_S3_');
  return isRclone && [...RCLONE_OPTIONS].some((option) => name.endsWith(`_${option}`));
}
