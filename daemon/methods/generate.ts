import { CredentialError } from '../../src/errors.ts';
import { parseName } from '../../src/names.ts';
import type { GenerateIn } from '../../src/protocol/interface.generated.ts';
import {
  PASSWORD_LENGTH_DEFAULT,
  PASSWORD_LENGTH_MAX,
  PASSWORD_LENGTH_MIN,
  PASSWORD_WORDS_MAX,
  PASSWORD_WORDS_MIN,
  makePassphrase,
  makePassword,
} from '../password/make-password.ts';
import type { Password } from '../password/make-password.ts';
import type { Method } from './context.ts';
import { create } from './create.ts';

/** Makes a password and stores it. It is shown only if the caller asks for that. */
export const generate: Method<'Generate'> = async (context, caller, parameters, onGone) => {
  const { replace, owner, show } = parameters;
  const name = parseName(parameters.name);
  const { text, bits } = await passwordFor(name, parameters);
  const stored = { credentials: [{ name, value: text }], replace: replace ?? false, owner: owner ?? null };
  const { generation, saved } = await create(context, caller, stored, onGone);
  const [credential] = saved;
  if (credential === undefined) throw new TypeError('what was stored has a version');
  return {
    name: credential.name,
    version: credential.version,
    generation,
    ...(show === true ? { value: text } : {}),
    bits,
  };
};

/** @throws CredentialError `InvalidValue` if the password would be too weak, or longer than a tool may take */
async function passwordFor(name: string, { length, words }: GenerateIn): Promise<Password> {
  const refuse = (reason: string): CredentialError => new CredentialError('InvalidValue', { name, reason });
  if (typeof words === 'number') {
    if (typeof length === 'number') throw refuse('give a number of characters or a number of words, not both');
    if (words < PASSWORD_WORDS_MIN || words > PASSWORD_WORDS_MAX) {
      throw refuse(`${PASSWORD_WORDS_MIN} to ${PASSWORD_WORDS_MAX} words; fewer could be guessed (less than 64 bits)`);
    }
    return makePassphrase(words);
  }
  const characters = length ?? PASSWORD_LENGTH_DEFAULT;
  if (characters < PASSWORD_LENGTH_MIN || characters > PASSWORD_LENGTH_MAX) {
    throw refuse(`${PASSWORD_LENGTH_MIN} to ${PASSWORD_LENGTH_MAX} characters; fewer could be guessed`);
  }
  return makePassword(characters);
}
