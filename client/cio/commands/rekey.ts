import { defineCommand, type Command } from '../command.ts';
import { WHOLE_STORE_TIMEOUT_MS } from '../timeouts.ts';

/** Seals every record with a new data key. */
export const REKEY: Command = defineCommand({
  name: 'rekey',
  operation: 'Rekey',
  summary: 'Seal every record with a new data key',
  positionals: {},
  options: {},
  examples: [['cio credential rekey', '']],
  async run(_input, session) {
    using _progress = session.progress('Sealing every record anew');
    const reply = await session.withClient((client) => client.call('Rekey', {}), WHOLE_STORE_TIMEOUT_MS);
    session.succeed(reply, 'Rekey', `${reply.records} records sealed with data key ${reply.keyEpoch}`);
    return 0;
  },
});
