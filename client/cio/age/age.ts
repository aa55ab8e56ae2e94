import { Decrypter, Encrypter, armor as pem } from 'age-encryption';
import { CommandError } from '../command-error.ts';
import { isArmored } from './age-file.ts';

/** What a file is encrypted to: recipients, each of whose identities opens it, or a passphrase. */
export type AgeLock = { readonly recipients: readonly string[] } | { readonly passphrase: string };

/** Keys that may open a file. */
export type AgeKeys = { readonly identities: readonly string[] } | { readonly passphrase: string };

/**
 * Encrypts bytes as `age` does. The caller keeps ownership of them.
 *
 * @param armor writes the file as text, in a format like PEM
 * @throws CommandError `Usage` if a recipient is not valid
 */
export async function encryptAge(plain: Uint8Array, lock: AgeLock, armor: boolean): Promise<Uint8Array> {
  const encrypter = new Encrypter();
  if ('passphrase' in lock) encrypter.setPassphrase(lock.passphrase);
  else for (const recipient of lock.recipients) addRecipient(encrypter, recipient);
  const file = await encrypter.encrypt(plain);
  return armor ? Buffer.from(pem.encode(file)) : file;
}

/**
 * Tells whether a passphrase opens a file, and not an identity.
 *
 * @throws CommandError `InvalidInput` if it is damaged
 */
export function wantsPassphrase(file: Uint8Array): boolean {
  // A scrypt stanza is the only stanza of its file (https://age-encryption.org/v1, "The scrypt recipient type").
  return (
    Buffer.from(binaryOf(file).subarray(0, 64)).toString('latin1').split('\n')[1]?.startsWith('-> scrypt ') === true
  );
}

/**
 * Decrypts a file, armored or not. The caller owns and wipes the plaintext.
 *
 * @throws CommandError `WrongKey` if the keys do not open the file, `InvalidInput` if it is damaged
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
    // The library's message would say less.
    throw damaged();
  }
}

function addRecipient(encrypter: Encrypter, recipient: string): void {
  if (/^AGE-SECRET-KEY-/i.test(recipient)) {
    throw new CommandError(
      'Usage',
      'the recipient given is an identity, which is a secret',
      'it is in the history of the shell now; age-keygen -y FILE prints the recipient of an identity',
    );
  }
  try {
    encrypter.addRecipient(recipient);
  } catch {
    // The message does not repeat the argument, which may be a secret in the wrong place.
    throw new CommandError(
      'Usage',
      'a recipient is not valid',
      'give age1... as age-keygen prints it; SSH keys are not supported',
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
      'it has to be AGE-SECRET-KEY-1… as age-keygen prints it',
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
    return new CommandError(
      'InvalidInput',
      'the work factor of its passphrase is too high',
      'decrypt it with age itself',
    );
  }
  return damaged();
}

function damaged(): CommandError {
  return new CommandError('InvalidInput', 'the age file is damaged, or cut off');
}
