import { parseName } from '../../../src/names.ts';
import { defineCommand, OWNER_OPTION, type Command } from '../command.ts';
import { rethrowForSet } from '../not-found.ts';
import { localUsers, resolveOwner } from '../principals.ts';
import { formatTableOrRecords } from '../table.ts';
import { terminalWidth } from '../terminal.ts';
import { formatTime } from '../time.ts';

/** Shows the kept versions of a credential, without their values. */
export const HISTORY: Command = defineCommand({
  name: 'history',
  operation: 'Show history',
  summary: 'Show the kept versions of a credential',
  positionals: { NAME: { describe: 'Its name', count: 'one', completes: 'credential' } },
  options: OWNER_OPTION,
  examples: [['cio credential history cio_aws_secret_key', '']],
  async run({ positionals, options }, session) {
    const parameters = { name: parseName(positionals.NAME), owner: resolveOwner(options.owner) };
    const reply = await session.withClient((client) =>
      client
        .call('History', parameters)
        .catch((error: unknown) => rethrowForSet(client, error, parameters.owner, hintOf)),
    );
    session.print(reply, () => {
      const users = localUsers();
      const columns = ['VERSION', 'GENERATION', 'CHANGED', 'BY', 'BYTES', 'NOTE'].map((title) => ({ title }));
      const rows = reply.versions.map(({ version, generation, changed, changedBy, size, current, restoredFrom }) => [
        `${version}`,
        `${generation}`,
        formatTime(changed),
        users.get(changedBy) ?? `${changedBy}`,
        `${size}`,
        [...(current ? ['current'] : []), ...(restoredFrom ? [`version ${restoredFrom} again`] : [])].join(', '),
      ]);
      return formatTableOrRecords(columns, rows, terminalWidth());
    });
    return 0;
  },
});

function hintOf(set: string, member = `cio_${set}_secret_key`): string {
  return `each of its credentials has a history of its own: cio credential history ${member}`;
}
