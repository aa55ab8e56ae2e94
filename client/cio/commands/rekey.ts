import { defineCommand, type Command } from '../command.ts';

/** Every record is sealed anew: minutes for a million of them. */
const TIMEOUT_MS = 3_600_000;

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
    const reply = await session.withClient((client) => client.call('Rekey', {}), TIMEOUT_MS);
    session.succeed(reply, 'Rekey', `${reply.records} records sealed with data key ${reply.keyEpoch}`);
    return 0;
  },
});
