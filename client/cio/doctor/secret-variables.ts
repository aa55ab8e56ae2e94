import { PROVIDERS } from '../../../src/providers/registry.ts';

/** The variables of every provider's secret fields. */
const SECRET_VARIABLES: ReadonlySet<string> = new Set(
  [...PROVIDERS.values()].flatMap(({ fields }) =>
    fields.flatMap(({ isSecret, variables }) => (isSecret ? variables : [])),
  ),
);

/** The endings of rclone's variables, which begin with the name of a remote. */
const RCLONE_OPTIONS: ReadonlySet<string> = new Set(
  [...PROVIDERS.values()].flatMap(({ fields, rclone }) =>
    Object.entries(rclone.fromFields).flatMap(([option, id]) =>
      fields.find((field) => field.id === id)?.isSecret === true ? [option] : [],
    ),
  ),
);

/** Tells whether an environment variable holds a secret of a backup. */
export function isSecretVariable(name: string): boolean {
  if (SECRET_VARIABLES.has(name)) return true;
  const isRclone = name.startsWith('RCLONE_CONFIG_') || name.startsWith('RCLONE_S3_');
  return isRclone && [...RCLONE_OPTIONS].some((option) => name.endsWith(`_${option}`));
}
