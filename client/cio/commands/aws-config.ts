import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { formatAwsProfiles } from '../../../src/forms/aws.ts';
import { requireAwsKeys } from '../aws-keys.ts';
import { usageError } from '../command-error.ts';
import { defineCommand, OWNER_OPTION, type Command } from '../command.ts';
import { resolveOwner } from '../principals.ts';
import { findCommand } from '../process-image.ts';
import { readContent } from '../set-environment.ts';

/** Prints profiles with which the AWS tools fetch a set's keys themselves. */
export const AWS_CONFIG: Command = defineCommand({
  name: 'aws-config',
  operation: 'Print AWS profiles',
  summary: 'Print profiles that make AWS tools ask for the keys of a set',
  details:
    'They hold no secret. The one for ~/.aws/config is for the AWS SDKs and the AWS command line, the one for ' +
    '~/.aws/credentials for restic, kopia and others with minio-go. AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE can ' +
    'name one file with both; AWS_PROFILE is the name of the set.',
  positionals: { SET: { describe: 'Name or UUID of the set', count: 'one', completes: 'set' } },
  options: OWNER_OPTION,
  examples: [['cio credential aws-config aws >> ~/.aws/config', '']],
  async run({ positionals, options }, session) {
    const owner = resolveOwner(options.owner);
    const content = await session.withClient((client) => readContent(client, positionals.SET, owner));
    requireAwsKeys(content);
    const socket = session.socket === undefined ? [] : [`--socket=${resolve(session.socket)}`];
    const whose = owner === null ? [] : [`--owner=${owner}`];
    const command = [locateCio(), 'credential', 'credential-process', content.set, ...socket, ...whose];
    if (command.some((word) => /[\s"'\\$]/.test(word))) {
      throw usageError(
        'the path of cio or of its socket has a space or a quote',
        'minio-go would split the command there',
      );
    }
    const profiles = formatAwsProfiles(content, command);
    session.print({ profiles }, () => profiles);
    return 0;
  },
});

/** Returns the path of `cio`: in PATH, else beside the running program. The tool that runs it may have another PATH. */
function locateCio(): string {
  const besides = join(dirname(process.argv[1] ?? ''), '..', 'bin', 'cio');
  try {
    return findCommand('cio', process.env['PATH']);
  } catch {
    return existsSync(besides) ? resolve(besides) : 'cio';
  }
}
