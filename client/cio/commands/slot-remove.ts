import { isCredentialError } from '../../../src/errors.ts';
import { RewordedError } from '../command-error.ts';
import { assertConfirmed } from '../confirm.ts';
import { defineCommand, YES_OPTION, type Command } from '../command.ts';

/** Removes a way to open the store. */
export const SLOT_REMOVE: Command = defineCommand({
  name: 'slot remove',
  aliases: ['slot delete', 'slot rm'],
  operation: 'Remove slot',
  summary: 'Remove a way to open the store; the last one stays',
  positionals: { ID: { describe: 'Its id, see slot list', count: 'one', completes: 'slot' } },
  options: YES_OPTION,
  examples: [['cio credential slot remove 4f1c22ab', '']],
  async run({ positionals, options }, session) {
    const id = positionals.ID;
    if (!options.yes)
      await assertConfirmed(session, 'Remove this slot? Its key, passphrase or code will no longer open the store.');
    try {
      await session.withClient((client) => client.call('RemoveSlot', { id }));
    } catch (error) {
      if (!isCredentialError(error, 'NotFound')) throw error;
      throw new RewordedError(error, {
        message: 'there is no slot with this id',
        hint: 'cio credential slot list shows them',
      });
    }
    session.succeed({ removed: id }, 'Remove slot', `Slot ${id} removed`);
    return 0;
  },
});
