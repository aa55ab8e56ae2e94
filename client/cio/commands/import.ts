import type { ImportFormat } from '../../../src/import/formats.ts';
import { PROVIDERS } from '../../../src/providers/registry.ts';
import { defineCommand, OWNER_OPTION, YES_OPTION, type Command } from '../command.ts';
import { resolveOwner } from '../principals.ts';

/** The formats of `src/import/formats`, which is loaded, with all its readers, only when something is imported. */
const FORMATS: readonly ImportFormat[] = [
  'aws',
  'mc',
  'rclone',
  's3cfg',
  'env',
  'openstack',
  'velero',
  'export',
  'set',
];

/** Stores the credentials found in the files of other tools. */
export const IMPORT: Command = defineCommand({
  name: 'import',
  operation: 'Import credentials',
  summary: 'Store what other tools have in their files, all or nothing',
  details:
    'Reads the files of the AWS tools, mc, rclone, s3cmd, restic (variables), OpenStack and Velero, an export of this ' +
    'program, and one set as JSON, YAML, INI or variables. --dry-run shows what would be stored under which names. Without ' +
    'PATH it looks in the usual places and asks. The files stay as they are.',
  positionals: { PATH: { describe: 'A file; - for standard input', count: 'any', completes: 'file' } },
  options: {
    format: {
      type: 'string',
      value: 'FORMAT',
      describe: `What the files are: ${FORMATS.join(', ')}`,
      completes: FORMATS,
    },
    'as-alt': { type: 'boolean', describe: 'Store aws as aws_alt, and so on; then try it out without writing' },
    'dry-run': { type: 'boolean', short: 'n', describe: 'Show what would be stored, and store nothing' },
    replace: { type: 'boolean', describe: 'Give new values to credentials that exist' },
    provider: {
      type: 'string',
      value: 'PROVIDER',
      describe: 'Provider of the keys, if the file does not say',
      completes: [...PROVIDERS.keys()],
    },
    set: { type: 'string', value: 'NAME', describe: 'Name of the set, if there is only one', completes: 'set' },
    profile: { type: 'string', value: 'NAME', describe: 'Only this profile, alias or remote' },
    identity: { type: 'string', value: 'FILE', describe: 'File of the age identity for an export', completes: 'file' },
    validate: { type: 'boolean', describe: 'Try out what was stored, without writing; exit code 9 if it fails' },
    ...YES_OPTION,
    ...OWNER_OPTION,
  },
  examples: [
    ['cio credential import --dry-run', 'what is there to import'],
    ['cio credential import ~/.aws/credentials ~/.aws/config', 'a set for each profile'],
    ['cio credential import rclone.conf --profile offsite --set minio_offsite', 'one remote'],
    ['cio credential import export.age --as-alt', "another cluster's sets, beside this one's"],
  ],
  async run({ positionals, options }, session) {
    const owner = resolveOwner(options.owner);
    const { importFiles } = await import('../import/import-files.ts');
    return importFiles(session, positionals.PATH, {
      owner,
      format: options.format,
      asAlternate: options['as-alt'],
      isDryRun: options['dry-run'],
      replace: options.replace,
      provider: options.provider,
      set: options.set,
      profile: options.profile,
      identity: options.identity,
      validate: options.validate,
      isConfirmed: options.yes,
    });
  },
});
