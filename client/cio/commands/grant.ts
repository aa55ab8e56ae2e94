import type { Grantee } from '../../../src/protocol/interface.generated.ts';
import { usageError } from '../command-error.ts';
import { defineCommand, OWNER_OPTION, type Command } from '../command.ts';
import { formatGrantees, GRANTEE_OPTIONS, readGrantees } from '../grantees.ts';
import { resolveOwner } from '../principals.ts';

/** Lets others read a credential or a set. */
export const GRANT: Command = defineCommand({
  name: 'grant',
  operation: 'Grant credential',
  summary: 'Let a unit, a user or a group read a credential or a set',
  details: 'A grant of a set covers all its fields, also those that are added later. list --json shows the grants.',
  positionals: { 'NAME|SET': { describe: 'What they may read', count: 'one', completes: 'target' } },
  options: {
    ...GRANTEE_OPTIONS,
    missing: {
      type: 'string',
      value: 'block|fail',
      completes: ['block', 'fail'],
      describe: 'If it is not there when a unit starts (LoadCredential=): wait for it, or fail (default)',
    },
    ...OWNER_OPTION,
  },
  examples: [
    ['cio credential grant aws --unit restic.service', ''],
    ['cio credential grant cio_aws_backup_repo --user backup --group operators', ''],
    ['cio credential grant minio --unit restic@.service --missing block', 'its start waits for what is missing'],
  ],
  async run({ positionals, options }, session) {
    const target = positionals['NAME|SET'];
    const missing = parseMissing(options.missing);
    const grantees = readGrantees(options).map((grantee) => ({ ...grantee, ...missing }));
    const owner = resolveOwner(options.owner);
    const reply = await session.withClient((client) => client.call('Grant', { target, grantees, owner }));
    session.succeed(reply, 'Grant credential', `${target} granted to ${formatGrantees(grantees)}`);
    return 0;
  },
});

function parseMissing(text: string | undefined): Pick<Grantee, 'missing'> {
  if (text === undefined) return {};
  if (text === 'block' || text === 'fail') return { missing: text };
  throw usageError('--missing is block or fail');
}
