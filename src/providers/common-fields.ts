import type { Field } from './provider.ts';
import { parseReloadUnits } from '../reload-units.ts';
import { parseServer } from './server.ts';

/** The ids of providers, including those that are not supported yet. */
export const PROVIDER_IDS: readonly string[] = ['aws', 'minio', 'azure', 'google', 'openstack', 's3'];

/** Variables that restic reads in addition to, or in preference to, those for the repository and its password. */
export const RESTIC_CONTRADICTING: readonly string[] = [
  'RESTIC_REPOSITORY_FILE',
  'RESTIC_PASSWORD_FILE',
  'RESTIC_PASSWORD_COMMAND',
];

/**
 * Returns the field for the repository, in the form that restic takes.
 *
 * @param form a pattern of a valid value, for the error message
 */
export function repositoryField(
  example: string,
  form: string,
  parse: (text: string) => object | { readonly reason: string },
): Field {
  return {
    id: 'backup_repo',
    label: 'Repository',
    isSecret: false,
    isRequired: true,
    input: 'text',
    example,
    variables: ['RESTIC_REPOSITORY'],
    check(text) {
      const repository = parse(text);
      return 'reason' in repository ? `${repository.reason}; it should look like ${form}` : undefined;
    },
  };
}

/** The password of the repository. Any text that an environment variable can hold; restic uses it unchanged. */
export const BACKUP_PASSWORD: Field = {
  id: 'backup_password',
  label: 'Repository password',
  isSecret: true,
  isRequired: true,
  input: 'password',
  variables: ['RESTIC_PASSWORD'],
  check: (text) => (text.includes('\0') ? 'it has a NUL character, at which an environment variable ends' : undefined),
};

/** The fields that a repository needs and a bucket does not. Only restic uses them; other tools do without. */
export const REPOSITORY_FIELDS: readonly string[] = ['backup_repo', BACKUP_PASSWORD.id];

/** Names the provider if the name of the set does not, as in `cio_offsite_provider`. */
export const PROVIDER: Field = {
  id: 'provider',
  label: 'Provider',
  isSecret: false,
  isRequired: false,
  input: 'text',
  example: 's3',
  variables: [],
  check: checkOneOf(PROVIDER_IDS),
};

/**
 * Certificate authorities in PEM that replace those of the host. restic, the AWS tools and Go take the path of a file:
 * `exec` provides one; a unit loads this credential and sets the variable to its path.
 */
export const ENDPOINT_CA: Field = {
  id: 'endpoint_ca',
  label: 'Certificate authority (PEM)',
  isSecret: false,
  isRequired: false,
  input: 'textarea',
  variables: [],
  fileVariables: ['RESTIC_CACERT', 'AWS_CA_BUNDLE', 'SSL_CERT_FILE'],
  check: checkCertificates,
};

/**
 * Accept any certificate. No variable does this for a single server: restic has only a flag, and rclone's
 * RCLONE_NO_CHECK_CERTIFICATE applies to every remote of a command.
 */
export const SKIP_VERIFY: Field = {
  ...optionalText('skip_verify', 'Skip the verification of certificates'),
  check: checkBoolean,
};

/** Allow link-local addresses and metadata services as servers of the set. */
export const ALLOW_LINK_LOCAL: Field = {
  ...optionalText('allow_link_local', 'Allow link-local addresses'),
  check: checkBoolean,
};

/** Use the machine's own identity instead of keys. */
export const USE_IAM: Field = {
  ...optionalText('use_iam', "Use the machine's own identity"),
  check: checkBoolean,
};

/**
 * The HTTP proxy. All four variables are set, since Go prefers the upper-case names, curl and Python the lower-case
 * ones; those for https come first. A set without a proxy leaves the caller's variables in place. The value is shown in
 * lists, so it may contain no password.
 */
export const PROXY: Field = {
  ...optionalText('proxy', 'Proxy'),
  example: 'http://proxy.example.org:3128',
  variables: ['HTTPS_PROXY', 'https_proxy', 'HTTP_PROXY', 'http_proxy'],
  check(text) {
    const server = /^https?:\/\//.test(text) ? parseServer(text.replace(/\/$/, '')) : { reason: 'it is not a URL' };
    return 'reason' in server ? `${server.reason}; it should look like http://HOST:PORT` : undefined;
  },
};

/** The bucket, for tools that do not read the repository, and for a set without a repository. */
export const BUCKET: Field = {
  ...optionalText('bucket', 'Bucket'),
  example: 'backup-123',
  check: (text) => (/^[^\s/\p{Cc}\p{Cf}]{1,255}$/u.test(text) ? undefined : 'it has spaces or slashes'),
};

/** The folder within the bucket, for tools that do not read the repository. */
export const PREFIX: Field = {
  ...optionalText('prefix', 'Prefix'),
  example: 'host-1/daily',
  check(text) {
    const parts = text.split('/');
    if (!/^[^\s\p{Cc}\p{Cf}]{1,1024}$/u.test(text)) return 'it has spaces or control characters';
    return parts.some((part) => ['', '.', '..'].includes(part)) ? 'it has an empty part, . or .. in it' : undefined;
  },
};

/**
 * Units of the host that are reloaded, or restarted if they cannot be reloaded, after a change of the set. A separate
 * service does this, if it is enabled.
 */
export const RELOAD_UNITS: Field = {
  ...optionalText('reload_units', 'Units to reload after a change'),
  example: 'restic-rest-server.service',
  check(text) {
    const units = parseReloadUnits(text);
    return 'reason' in units ? units.reason : undefined;
  },
};

/** The fields on how to reach a server, which all providers have. */
export const CONNECTION_FIELDS: readonly Field[] = [ENDPOINT_CA, SKIP_VERIFY, PROXY, ALLOW_LINK_LOCAL];

/** Returns an optional field that is no secret and has no environment variable. */
export function optionalText(id: string, label: string): Field {
  return { id, label, isSecret: false, isRequired: false, input: 'text', variables: [] };
}

/** Returns a check that accepts only these texts, in their exact spelling. */
export function checkOneOf(texts: readonly string[]): (text: string) => string | undefined {
  return (text) => (texts.includes(text) ? undefined : `it is not one of ${texts.join(', ')}`);
}

export function checkBoolean(text: string): string | undefined {
  return text === 'true' || text === 'false' ? undefined : 'it is neither true nor false';
}

/** Accepts visible ASCII only, since keys and tokens are sent in HTTP headers. */
export function checkHeaderText(text: string): string | undefined {
  return /^[\x21-\x7e]+$/.test(text) ? undefined : 'it has spaces, line ends or characters outside ASCII';
}

/** Accepts PEM certificates with arbitrary text between them. Refuses a private key, which lists would show. */
function checkCertificates(text: string): string | undefined {
  if (/-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----/.test(text)) return 'it has a private key in it';
  const begun = text.match(/-----BEGIN CERTIFICATE-----/g)?.length ?? 0;
  const whole =
    text.match(/-----BEGIN CERTIFICATE-----\s[A-Za-z0-9+/=\s]{1,65536}-----END CERTIFICATE-----/g)?.length ?? 0;
  return begun > 0 && begun === whole ? undefined : 'it is not a certificate in PEM';
}
