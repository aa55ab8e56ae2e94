import { CredentialError } from './errors.ts';
import { NAME_LENGTH_MAX } from './limits.ts';

const UUID_LENGTH = 36;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
const VALID_NAME = new RegExp(`^[a-z0-9][a-z0-9_.-]{0,${NAME_LENGTH_MAX - 1}}$`);
const VALID_START = /^(?:[a-z0-9][a-z0-9_.-]*)?/;

/** How many characters of a refused name an error repeats: enough to find the mistake, too few for a pasted secret. */
const ECHO_LENGTH_MAX = 32;

/** Tells whether `text` has the form of a UUID (RFC 9562), which can identify a set but never a credential. */
export function isUuid(text: string): boolean {
  return text.length === UUID_LENGTH && UUID.test(text);
}

/**
 * Checks the name of a credential: `[a-z0-9][a-z0-9_.-]{0,127}`, and not a UUID.
 *
 * @returns the name in its canonical spelling, see {@link canonicalName}
 * @throws CredentialError `InvalidName`, which contains only the start of the name up to the first invalid character
 */
export function parseName(text: string): string {
  if (!VALID_NAME.test(text) || isUuid(text)) throw refusedName(text);
  return canonicalName(text);
}

/**
 * Returns the canonical spelling of a valid name. Storidge's documentation uses three other spellings:
 * `cio_alt_aws_backup_repo` for `cio_aws_alt_backup_repo`, and `…_restic_repo` and `…_restic_password` for
 * `…_backup_repo` and `…_backup_password`.
 */
export function canonicalName(name: string): string {
  if (!name.startsWith('cio_alt_') && !name.includes('_restic_')) return name;
  const field = name.replace(/^(cio_.+)_restic_(repo|password)$/, '$1_backup_$2');
  return field.replace(/^cio_alt_(aws|minio)_/, 'cio_$1_alt_');
}

/** Returns the error for a text that is not a valid name, with the reason. */
function refusedName(text: string): CredentialError<'InvalidName'> {
  const validStart = VALID_START.exec(text)?.[0] ?? '';
  if (text === '') return invalidName('', 'it is empty');
  if (validStart.length < text.length) {
    const allowed = validStart === '' ? 'a-z and 0-9' : 'a-z, 0-9 and _ . -';
    return invalidName(validStart, `character ${validStart.length + 1} is not one of ${allowed}`);
  }
  if (text.length > NAME_LENGTH_MAX) return invalidName(text, `it is longer than ${NAME_LENGTH_MAX} characters`);
  return invalidName(text, 'it has the form of a UUID');
}

function invalidName(validStart: string, reason: string): CredentialError<'InvalidName'> {
  return new CredentialError('InvalidName', { name: validStart.slice(0, ECHO_LENGTH_MAX), reason });
}
