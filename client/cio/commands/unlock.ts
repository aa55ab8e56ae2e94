import { isCredentialError } from '../../../src/errors.ts';
import { defineCommand, type Command } from '../command.ts';
import { readPassphrase } from '../passphrase.ts';
import type { Session } from '../session.ts';

/** Opens a locked store. */
export const UNLOCK: Command = defineCommand({
  name: 'unlock',
  operation: 'Unlock',
  summary: 'Open a locked store',
  details:
    'First tries the slots that need no person (key file, systemd). Then it asks for the passphrase on a terminal, ' +
    'and elsewhere reads it from the first line of standard input.',
  positionals: {},
  options: { recovery: { type: 'boolean', describe: 'Use the printed recovery code' } },
  examples: [
    ['cio credential unlock', ''],
    ['cio credential unlock --recovery', ''],
  ],
  async run({ options }, session) {
    const slot = options.recovery ? await unlockWithCode(session) : await unlock(session);
    session.succeed({ locked: false, slot }, 'Unlock', `The store is open (slot ${slot})`);
    return 0;
  },
});

async function unlock(session: Session): Promise<string> {
  try {
    return await session.withClient(async (client) => (await client.call('Unlock', {})).slot);
  } catch (error) {
    if (!isCredentialError(error, 'UnlockFailed')) throw error;
    for (const trouble of error.fields.troubles ?? []) session.warn(trouble);
    const passphrase = await readPassphrase(session, 'Passphrase').catch((reading: unknown) => {
      // Without a user to ask, report the first error: the key file, or systemd's credential, needs attention.
      throw !session.prompter.canAsk && error.fields.reason === 'wrong_secret' ? error : reading;
    });
    // The first connection is closed while the user types, which may take long.
    return session.withClient(async (client) => (await client.call('Unlock', { passphrase })).slot);
  }
}

async function unlockWithCode(session: Session): Promise<string> {
  const recoveryCode = await readPassphrase(session, 'Recovery code');
  return session.withClient(async (client) => (await client.call('Unlock', { recoveryCode })).slot);
}
