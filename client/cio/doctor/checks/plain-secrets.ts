import { quoteIfNeeded } from '../../../../src/forms/shell.ts';
import type { Facts, SecretFile } from '../facts.ts';
import { isSecretVariable } from '../secret-variables.ts';
import type { UnitFile } from '../unit-file.ts';
import { Notes, type Verdict } from '../verdict.ts';
import { octal } from '../octal.ts';

const READABLE_BY_OTHERS = 0o044;

/** Checks for secrets in clear text in unit files, and in files that other users can read. */
export function checkPlainSecrets({ secretFiles, units }: Facts): Verdict {
  const notes = new Notes();
  for (const file of secretFiles) checkFile(notes, file);
  for (const file of units.files) checkUnitFile(notes, file);
  for (const { path, reason } of units.unread) notes.skip(`${path} cannot be read (${reason})`);
  return notes;
}

function checkFile(notes: Notes, { path, file, variables }: SecretFile): void {
  const seen = notes.see(file);
  if (seen === undefined || seen.kind !== 'file' || (seen.mode & READABLE_BY_OTHERS) === 0) return;
  notes.warning(
    `${path} has mode ${octal(seen.mode)}: others can read ${variables?.join(', ') ?? 'it'}`,
    variables === undefined
      ? 'it has keys in clear text; cio credential exec passes them to rclone, restic and the AWS tools without a file'
      : 'a unit takes its environment from it; LoadCredential= passes a secret to the unit alone',
    `chmod 0600 ${quoteIfNeeded(path)}`,
  );
}

function checkUnitFile(notes: Notes, { path, unit, isDropIn, assignments }: UnitFile): void {
  const names = assignments
    .filter(({ section, key }) => key === 'Environment' && section !== '')
    .flatMap(({ value }) => value.split(' '))
    .filter(isSecretVariable);
  if (names.length === 0) return;
  notes.warning(
    `${path} has ${[...new Set(names)].join(', ')} in clear text`,
    'every user can read unit files and the environment that systemctl show prints; LoadCredential= passes a secret to the unit alone',
    // systemctl edit opens only one drop-in, `override.conf`.
    isDropIn
      ? `"\${EDITOR:-vi}" ${quoteIfNeeded(path)} && systemctl daemon-reload`
      : `systemctl edit --full ${quoteIfNeeded(unit)}`,
  );
}
