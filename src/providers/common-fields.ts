import type { Field } from './provider.ts';
import { parseReloadUnits } from '../reload-units.ts';
import { parseServer } from './server.ts';

/** The ids that name a provider, those included that are not supported yet. */
export const PROVIDER_IDS: readonly string[] = ['aws', 'minio', 'azure', 'google', 'openstack', 's3'];

/** Where restic looks before, or besides, the variables of a repository and its password. */
export const RESTIC_CONTRADICTING: readonly string[] = [
  'RESTIC_REPOSITORY_FILE',
  'RESTIC_PASSWORD_FILE',
  'RESTIC_PASSWORD_COMMAND',
];

/**
 * The repository, in the form that restic takes.
 *
 * @param form what it looks like
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
      return 'reason' in repository ? `${repository.reason}; it looks like ${form}` : undefined;
    },
  };
}

/** The password that opens the repository. Any text that an environment variable can hold; restic takes it as it is. */
export const BACKUP_PASSWORD: Field = {
  id: 'backup_password',
  label: 'Repository password',
  isSecret: true,
  isRequired: true,
  input: 'password',
  variables: ['RESTIC_PASSWORD'],
  check: (text) => (text.includes('\0') ? 'it has a NUL character, at which an environment variable ends' : undefined),
};

/** What a repository needs and a bucket does not: only restic asks for these fields, and other tools do without. */
export const REPOSITORY_FIELDS: readonly string[] = ['backup_repo', BACKUP_PASSWORD.id];

/** Names the provider where the name of the set does not, as in `cio_offsite_provider`. */
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
 * Authorities in PEM that take the place of the host's own. restic, the AWS tools and Go take the path of a file: `exec`
 * gives one; a unit loads this credential and names its path.
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
 * Any certificate is taken. No variable says so for one server: restic has a flag only, and rclone's
 * RCLONE_NO_CHECK_CERTIFICATE would count for every remote of a command.
 */
export const SKIP_VERIFY: Field = {
  ...optionalText('skip_verify', 'Skip the verification of certificates'),
  check: checkBoolean,
};

/** Link-local addresses and metadata services are allowed as servers of the set. */
export const ALLOW_LINK_LOCAL: Field = {
  ...optionalText('allow_link_local', 'Allow link-local addresses'),
  check: checkBoolean,
};

/** The machine's own identity takes the place of keys. */
export const USE_IAM: Field = {
  ...optionalText('use_iam', "Use the machine's own identity"),
  check: checkBoolean,
};

/**
 * The proxy for HTTP. Go prefers the names in capital letters and curl and Python the others, so that all are given; a set
 * without one leaves the caller's in place. It is shown in lists, and so may hold no password.
 */
export const PROXY: Field = {
  ...optionalText('proxy', 'Proxy'),
  example: 'http://proxy.example.org:3128',
  variables: ['HTTPS_PROXY', 'https_proxy', 'HTTP_PROXY', 'http_proxy'],
  check(text) {
    const server = /^https?:\/\//.test(text) ? parseServer(text.replace(/\/$/, '')) : { reason: 'it is no URL' };
    return 'reason' in server ? `${server.reason}; it looks like http://HOST:PORT` : undefined;
  },
};

/** Said besides the repository, for tools that take none, and for a set that has none. */
export const BUCKET: Field = {
  ...optionalText('bucket', 'Bucket'),
  example: 'backup-123',
  check: (text) => (/^[^\s/\p{Cc}\p{Cf}]{1,255}$/u.test(text) ? undefined : 'it has spaces or slashes'),
};

/** The folder below the bucket, said besides the repository, for tools that take none. */
export const PREFIX: Field = {
  ...optionalText('prefix', 'Prefix'),
  example: 'host-1/daily',
  check(text) {
    const parts = text.split('/');
    if (!/^[^\s\p{Cc}\p{Cf}]{1,1024}$/u.test(text)) return 'it has spaces or control characters';
    return parts.some((part) => ['', '.', '..'].includes(part)) ? 'it has an empty part, . or .. in it' : undefined;
  },
};

/** Units of the host that are reloaded, or else restarted, after a change of the set, by a service that does so where it is enabled. */
export const RELOAD_UNITS: Field = {
  ...optionalText('reload_units', 'Units to reload after a change'),
  example: 'restic-rest-server.service',
  check(text) {
    const units = parseReloadUnits(text);
    return 'reason' in units ? units.reason : undefined;
  },
};

/** How one reaches a server, whatever it speaks. */
export const CONNECTION_FIELDS: readonly Field[] = [ENDPOINT_CA, SKIP_VERIFY, PROXY, ALLOW_LINK_LOCAL];

/** A field that a set may do without, that everybody may see, and for which no tool has a variable. */
export function optionalText(id: string, label: string): Field {
  return { id, label, isSecret: false, isRequired: false, input: 'text', variables: [] };
}

/** A check that takes nothing but these, in their exact spelling. */
export function checkOneOf(texts: readonly string[]): (text: string) => string | undefined {
  return (text) => (texts.includes(text) ? undefined : `it is none of ${texts.join(', ')}`);
}

export function checkBoolean(text: string): string | undefined {
  return text === 'true' || text === 'false' ? undefined : 'it is neither true nor false';
}

/** Keys, regions and tokens travel in HTTP headers: no white space, no control characters. */
export function checkHeaderText(text: string): string | undefined {
  return /^[\x21-\x7e]+$/.test(text) ? undefined : 'it has spaces, line ends or characters outside ASCII';
}

/** Certificates and nothing but text between them; most of all no private key, which lists would show. */
function checkCertificates(text: string): string | undefined {
  if (/-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----/.test(text)) return 'it has a private key in it';
  const begun = text.match(/-----BEGIN CERTIFICATE-----/g)?.length ?? 0;
  const whole =
    text.match(/-----BEGIN CERTIFICATE-----\s[A-Za-z0-9+/=\s]{1,65536}-----END CERTIFICATE-----/g)?.length ?? 0;
  return begun > 0 && begun === whole ? undefined : 'it is no certificate in PEM';
}
