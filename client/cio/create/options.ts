import { PROVIDERS } from '../../../src/providers/registry.ts';
import { canonicalSetName, providerOf } from '../../../src/sets.ts';
import type { Input, Positionals } from '../command.ts';

/** The options for a whole set: where its fields come from, and what is done with them. */
export const SOURCE_OPTIONS = {
  provider: {
    type: 'string',
    short: 'p',
    value: 'ID',
    describe: 'aws, minio, s3, azure or google; alone, asks field by field',
    completes: [...PROVIDERS.keys()] as readonly string[],
    group: 'set',
  },
  ask: { type: 'boolean', describe: 'Ask field by field, for the provider too', group: 'set' },
  'from-env': { type: 'boolean', short: 'l', describe: "Take the provider's variables", group: 'set' },
  profile: { type: 'string', value: 'NAME', describe: 'The section of the file to take', group: 'set' },
  'no-validate': { type: 'boolean', describe: 'Store it without trying it out first', group: 'set' },
} as const;

/** The options for the fields of a set, named as in `pxctl credentials create`. */
export const FIELD_OPTIONS = {
  bucket: { type: 'string', value: 'NAME', describe: 'An existing bucket; else, one is made', group: 'fields' },
  'encryption-passphrase': {
    type: 'string',
    value: 'TEXT',
    describe: 'What opens the backup; - asks, or reads a pipe',
    group: 'fields',
  },
  'use-iam': { type: 'boolean', describe: "The machine's own identity in place of keys", group: 'fields' },
  'use-proxy': { type: 'boolean', describe: 'The proxy of HTTPS_PROXY or HTTP_PROXY', group: 'fields' },
  proxy: { type: 'string', value: 'URL', describe: 'That proxy', group: 'fields' },
  's3-access-key': { type: 'string', value: 'KEY', describe: 'Access key', group: 's3' },
  's3-secret-key': { type: 'string', value: 'KEY', describe: 'Secret key; - asks, or reads a pipe', group: 's3' },
  's3-region': { type: 'string', value: 'REGION', describe: 'Region', group: 's3' },
  's3-endpoint': {
    type: 'string',
    value: 'HOST:PORT,...',
    describe: 'Servers; the first is tried and used',
    group: 's3',
  },
  's3-disable-ssl': { type: 'boolean', describe: 'The servers speak http', group: 's3' },
  's3-storage-class': { type: 'string', value: 'CLASS', describe: 'As in STANDARD_IA', group: 's3' },
  's3-sse': {
    type: 'string',
    value: 'KIND',
    describe: 'Encryption by the server',
    completes: ['AES256', 'aws:kms'],
    group: 's3',
  },
  'disable-path-style': { type: 'boolean', describe: 'The bucket is part of the host name', group: 's3' },
  'azure-account-name': { type: 'string', value: 'NAME', describe: 'Account', group: 'azure' },
  'azure-account-key': { type: 'string', value: 'KEY', describe: 'Its key; - asks, or reads a pipe', group: 'azure' },
  'google-project-id': { type: 'string', value: 'ID', describe: 'Project', group: 'google' },
  'google-json-key-file': {
    type: 'string',
    value: 'PATH',
    describe: 'The key of a service account',
    completes: 'file',
    group: 'google',
  },
  'use-workload-identity': { type: 'boolean', describe: 'Refused', isHidden: true },
  'nfs-server': { type: 'string', describe: 'Refused', isHidden: true },
  'nfs-sub-path': { type: 'string', describe: 'Refused', isHidden: true },
  'nfs-mount-opts': { type: 'string', describe: 'Refused', isHidden: true },
  'nfs-timeout-seconds': { type: 'string', short: 't', describe: 'Refused', isHidden: true },
} as const;

export type FieldOptions = Input<Positionals, typeof FIELD_OPTIONS>['options'];
export type SetOptions = Input<Positionals, typeof SOURCE_OPTIONS>['options'] & FieldOptions;
export type FieldOption = keyof FieldOptions;

/** Returns the field options that are given. */
export function givenFieldOptions(options: FieldOptions): FieldOption[] {
  const names = Object.keys(FIELD_OPTIONS) as FieldOption[];
  return names.filter((name) => options[name] !== undefined && options[name] !== false);
}

/** Tells whether any of these options implies that a whole set is meant. */
export function meansSet(options: SetOptions): boolean {
  const isNamed = options.provider !== undefined || options.profile !== undefined;
  const isAsked = options.ask || options['from-env'] || options['no-validate'];
  return isNamed || isAsked || givenFieldOptions(options).length > 0;
}

/** Tells whether the first word of a name is a provider, as in `aws_site2`: such a name stands for a set. */
export function isNamedByProvider(name: string): boolean {
  const set = canonicalSetName(name);
  return set !== undefined && providerOf(set, undefined) !== undefined;
}
