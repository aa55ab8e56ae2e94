import { defineCommand, type Command } from '../command.ts';
import { formatTableOrRecords } from '../table.ts';
import { terminalWidth } from '../terminal.ts';
import { formatTime } from '../time.ts';

/** Shows the ways to open the store. */
export const SLOT_LIST: Command = defineCommand({
  name: 'slot list',
  aliases: ['slot ls'],
  operation: 'List slots',
  summary: 'Show the ways to open the store',
  positionals: {},
  options: {},
  examples: [['cio credential slot list', '']],
  async run(_input, session) {
    const reply = await session.withClient((client) => client.call('ListSlots', {}));
    session.print(reply, () => {
      const columns = ['ID', 'KIND', 'CREATED', 'LABEL'].map((title) => ({ title }));
      const rows = reply.slots.map(({ id, kind, created, label }) => [id, kind, formatTime(created), label ?? '-']);
      return formatTableOrRecords(columns, rows, terminalWidth());
    });
    return 0;
  },
});
