import { parseName } from '../../../src/names.ts';
import { defineCommand, OWNER_OPTION, type Command } from '../command.ts';
import { resolveOwner } from '../principals.ts';
import { STDOUT } from '../file-descriptors.ts';
import { isTerminal } from '../terminal.ts';
import { bytesOf } from '../value-output.ts';

const NEWLINE = Uint8Array.of(0x0a);

/** Prints the value of a credential. */
export const GET: Command = defineCommand({
  name: 'get',
  operation: 'Get credential',
  summary: 'Print the value of a credential',
  details: 'The bytes as they are, with nothing added; on a terminal, a newline after them.',
  positionals: { NAME: { describe: 'Its name', count: 'one', completes: 'credential' } },
  options: {
    version: { type: 'integer', value: 'N', describe: 'An older version that is kept, see history' },
    ...OWNER_OPTION,
  },
  examples: [
    ['cio credential get cio_aws_backup_repo', ''],
    ['cio credential get cio_aws_backup_password --version 2', 'the value it had before'],
  ],
  async run({ positionals, options }, session) {
    const parameters = {
      name: parseName(positionals.NAME),
      version: options.version ?? null,
      owner: resolveOwner(options.owner),
    };
    await session.withClient(async (client) => {
      const reply = await client.call('Get', parameters);
      const bytes = bytesOf(reply, client.socket);
      if (session.isJson) session.print(reply, String);
      else {
        session.printBytes(bytes);
        if (isTerminal(STDOUT)) session.printBytes(NEWLINE);
      }
    });
    return 0;
  },
});
