import { defineCommand, OWNER_OPTION, type Command } from '../command.ts';
import { formatGrantees, GRANTEE_OPTIONS, readGrantees } from '../grantees.ts';
import { resolveOwner } from '../principals.ts';

/** Revokes grants. */
export const REVOKE: Command = defineCommand({
  name: 'revoke',
  operation: 'Revoke credential',
  summary: 'Take a grant back',
  positionals: { 'NAME|SET': { describe: 'What was granted', count: 'one', completes: 'target' } },
  options: { ...GRANTEE_OPTIONS, ...OWNER_OPTION },
  examples: [['cio credential revoke aws --unit restic.service', '']],
  async run({ positionals, options }, session) {
    const target = positionals['NAME|SET'];
    const grantees = readGrantees(options);
    const owner = resolveOwner(options.owner);
    const reply = await session.withClient((client) => client.call('Revoke', { target, grantees, owner }));
    const result =
      reply.revoked === 0
        ? `${target} was not granted to ${formatGrantees(grantees)}`
        : `${target} revoked from ${formatGrantees(grantees)}`;
    session.succeed(reply, 'Revoke credential', result);
    return 0;
  },
});
