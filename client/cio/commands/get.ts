import { isCredentialError } from '../../../src/errors.ts';
import { parseName } from '../../../src/names.ts';
import type { CredentialClient } from '../../client.ts';
import { abbreviate } from '../abbreviate.ts';
import { RewordedError } from '../command-error.ts';
import { defineCommand, OWNER_OPTION, type Command } from '../command.ts';
import { rethrowForSet } from '../not-found.ts';
import { FORMS } from '../out/forms.ts';
import { resolveOwner } from '../principals.ts';
import { STDOUT } from '../file-descriptors.ts';
import { isTerminal } from '../terminal.ts';
import { bytesOf } from '../value-output.ts';

/** Prints the value of a credential, or a set in the format of another tool. */
export const GET: Command = defineCommand({
  name: 'get',
  operation: 'Get credential',
  summary: 'Print the value of a credential, or a set for some tool',
  details:
    'Prints the bytes as they are; on a terminal, with a newline after them. With --output, prints a whole set: ' +
    `${FORMS.join(', ')}. env is for a shell, dotenv for Docker Compose, restic and kopia are environment files, rclone is ` +
    'a section of rclone.conf, aws a shared credentials file, velero the file "cloud", yaml and json are the object that ' +
    'pharmer prints; systemd-creds encrypts for SetCredentialEncrypted= on this host. yaml, json and systemd-creds take a ' +
    'single credential, too.',
  positionals: { NAME: { describe: 'Its name; with --output, also that of a set', count: 'one', completes: 'target' } },
  options: {
    output: { type: 'string', short: 'o', value: 'FORM', describe: 'Print it in this form', completes: FORMS },
    version: { type: 'integer', value: 'N', describe: 'An older version that is kept, see history' },
    ...OWNER_OPTION,
  },
  examples: [
    ['cio credential get cio_aws_backup_repo', ''],
    ['cio credential get cio_aws_backup_password --version 2', 'the value it had before'],
    ['cio credential get aws -o rclone >> ~/.config/rclone/rclone.conf', 'the whole set, for rclone'],
  ],
  async run({ positionals, options }, session) {
    const [version, owner] = [options.version ?? null, resolveOwner(options.owner)];
    if (options.output !== undefined) {
      const { printForm } = await import('../out/print-form.ts');
      await printForm({ target: positionals.NAME, form: options.output, version, owner }, session);
      return 0;
    }
    const parameters = { name: parseName(positionals.NAME), version, owner };
    await session.withClient(async (client) => {
      const reply = await client
        .call('Get', parameters)
        .catch((error: unknown) => rethrowAbsence(client, error, parameters));
      const bytes = bytesOf(reply, client.socket);
      if (session.isJson) session.printDocument(reply);
      else {
        session.printRaw(bytes);
        if (isTerminal(STDOUT)) session.printRaw('\n');
      }
    });
    return 0;
  },
});

/** Rethrows an error, but says if the name is that of a set, or if it is the requested version that was not found. */
async function rethrowAbsence(
  client: CredentialClient,
  error: unknown,
  { version, owner }: { readonly version: number | null; readonly owner: number | null },
): Promise<never> {
  const hintOf = (set: string): string => `in which form? cio credential get ${set} -o ${FORMS.join('|')}`;
  return rethrowForSet(client, error, owner, hintOf).catch((rethrown: unknown) => {
    if (version === null || !isCredentialError(rethrown, 'NotFound')) throw rethrown;
    throw new RewordedError(rethrown, {
      message: `version ${version} of ${abbreviate(rethrown.fields.name)} not found`,
      hint: 'cio credential history shows which versions are kept',
    });
  });
}
