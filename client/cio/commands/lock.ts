import { defineCommand, type Command } from '../command.ts';

/** Wipes the keys from the daemon's memory. */
export const LOCK: Command = defineCommand({
  name: 'lock',
  operation: 'Lock',
  summary: "Wipe the keys from the daemon's memory",
  details: 'Nothing can be read until cio credential unlock.',
  positionals: {},
  options: {},
  examples: [['cio credential lock', '']],
  async run(_input, session) {
    await session.withClient((client) => client.call('Lock', {}));
    session.succeed({ locked: true }, 'Lock', 'The store is locked');
    return 0;
  },
});
