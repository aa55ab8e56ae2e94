import { formatCredentialProcess, PROCESS_LIFETIME_MS } from '../../../src/forms/aws-process.ts';
import { readAwsKeys } from '../aws-keys.ts';
import { defineCommand, OWNER_OPTION, type Command } from '../command.ts';
import { resolveOwner } from '../principals.ts';

/** Prints the keys of a set in the format that AWS tools read from a `credential_process`. */
export const CREDENTIAL_PROCESS: Command = defineCommand({
  name: 'credential-process',
  operation: 'Print AWS credentials',
  summary: "Print the keys of a set for AWS's credential_process",
  details:
    'The AWS SDKs, the AWS command line and minio-go (restic, kopia) run it by themselves if a profile says so, see ' +
    'aws-config. They ask again within the hour, so changed keys reach them while they run.',
  positionals: { SET: { describe: 'Name or UUID of the set', count: 'one', completes: 'set' } },
  options: OWNER_OPTION,
  examples: [['cio credential credential-process aws', '']],
  async run({ positionals, options }, session) {
    const keys = await readAwsKeys(session, positionals.SET, resolveOwner(options.owner));
    session.printRaw(formatCredentialProcess(keys, Date.now() + PROCESS_LIFETIME_MS));
    return 0;
  },
});
