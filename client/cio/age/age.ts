import { Decrypter, Encrypter, armor as pem } from 'age-encryption';
import { CommandError } from '../command-error.ts';
import { isArmored } from './age-file.ts';

/** Whom a file is for: whoever has an identity of one of the recipients, or the passphrase. */
export type AgeLock = { readonly recipients: readonly string[] } | { readonly passphrase: string };

/** What may open a file. */
export type AgeKeys = { readonly identities: readonly string[] } | { readonly passphrase: string };

/**
 * Encrypts bytes, which stay the caller's, as `age` does.
 *
 * @param armor as text, in the manner of PEM
 * @throws CommandError `Usage` where a recipient is none
 */
export async function encryptAge(plain: Uint8Array, lock: AgeLock, armor: boolean): Promise<Uint8Array> {
  const encrypter = new Encrypter();
  if ('passphrase' in lock) encrypter.setPassphrase(lock.passphrase);
  else for (const recipient of lock.recipients) addRecipient(encrypter, recipient);
  const file = await encrypter.encrypt(plain);
  return armor ? Buffer.from(pem.encode(file)) : file;
}

/** Tells whether a file wants a passphrase, and no identity. @throws CommandError `InvalidInput` where it is damaged */
export function wantsPassphrase(file: Uint8Array): boolean {
  // The stanza of a passphrase is the only one of its file (https://age-encryption.org/v1, "The scrypt recipient type").
  return (
    Buffer.from(binaryOf(file).subarray(0, 64)).toString('latin1').split('\n')[1]?.startsWith('-> scrypt ') === true
  );
}

/**
 * Decrypts a file, armored or not. The caller wipes what it gives.
 *
 * @throws CommandError `WrongKey` where the keys are not the file's, `InvalidInput` where it is damaged
 */
export async function decryptAge(file: Uint8Array, keys: AgeKeys): Promise<Uint8Array> {
  const decrypter = new Decrypter();
  if ('passphrase' in keys) decrypter.addPassphrase(keys.passphrase);
  else for (const identity of keys.identities) addIdentity(decrypter, identity);
  const binary = binaryOf(file);
  try {
    return await decrypter.decrypt(binary);
  } catch (error) {
    throw explained(error, keys);
  }
}

function binaryOf(file: Uint8Array): Uint8Array {
  if (!isArmored(file)) return file;
  try {
    return pem.decode(Buffer.from(file).toString('latin1'));
  } catch {
    // The library's own message says less.
    throw damaged();
  }
}

function addRecipient(encrypter: Encrypter, recipient: string): void {
  if (/^AGE-SECRET-KEY-/i.test(recipient)) {
    throw new CommandError(
      'Usage',
      'that is an identity, which opens files, and no recipient',
      'it is a secret that is now in the history of the shell; age-keygen -y FILE prints the recipient of an identity',
    );
  }
  try {
    encrypter.addRecipient(recipient);
  } catch {
    // What was given is not repeated.
    throw new CommandError(
      'Usage',
      'a recipient is not valid',
      'it is age1... as age-keygen prints it; SSH keys are none',
    );
  }
}

function addIdentity(decrypter: Decrypter, identity: string): void {
  try {
    decrypter.addIdentity(identity);
  } catch {
    throw new CommandError(
      'InvalidInput',
      'an identity is not valid',
      'it is AGE-SECRET-KEY-1… as age-keygen prints it',
    );
  }
}

function explained(error: unknown, keys: AgeKeys): CommandError {
  const reason = error instanceof Error ? error.message : '';
  if (reason.startsWith('no identity matched')) {
    return 'passphrase' in keys
      ? new CommandError('WrongKey', 'the passphrase does not open the file', 'try again')
      : new CommandError('WrongKey', 'none of the identities opens the file', 'it is for other recipients');
  }
  if (reason === 'scrypt work factor is too high') {
    return new CommandError('InvalidInput', 'its passphrase was made too costly to try', 'decrypt it with age itself');
  }
  return damaged();
}

function damaged(): CommandError {
  return new CommandError('InvalidInput', 'the age file is damaged, or cut off');
}
