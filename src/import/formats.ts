import { EXPORT_FORMAT, ExportFormatError, parseExport } from '../export-format.ts';
import { readAws } from './aws.ts';
import { readEnvironmentFile } from './environment-file.ts';
import type { Found, ReaderContext } from './found.ts';
import { ImportError } from './import-error.ts';
import { parseIni } from './ini.ts';
import { readMc } from './mc.ts';
import { readClouds, readOpenrc } from './openstack.ts';
import { isRclone, readRclone } from './rclone.ts';
import { isS3cfg, readS3cfg } from './s3cfg.ts';
import { parseSetFile, textKindOf } from './set-file.ts';
import { prepareText } from './text.ts';

/** The formats that can be imported, as given to `--format`. `set` is one set of any provider, see parseSetFile. */
export const IMPORT_FORMATS = ['aws', 'mc', 'rclone', 's3cfg', 'env', 'openstack', 'velero', 'export', 'set'] as const;

export type ImportFormat = (typeof IMPORT_FORMATS)[number];

/** File names that determine the format. The format of any other file is detected from its content. */
const FORMATS_OF_NAMES: readonly (readonly [pattern: RegExp, format: ImportFormat])[] = [
  [/(?:^|\/)\.aws\/(?:credentials|config)$/, 'aws'],
  [/(?:^|\/)\.mc(?:li)?\/config\.json$/, 'mc'],
  [/(?:^|\/)\.?rclone\.conf$/, 'rclone'],
  [/(?:^|\/)\.?s3cfg$/, 's3cfg'],
  [/(?:^|\/)(?:clouds\.ya?ml|[^/]*(?:openrc|ec2rc)[^/]*)$/, 'openstack'],
];

/**
 * Detects the format of a file by its name, or else by its content.
 *
 * @param path as given by the user; undefined for a stream
 * @throws ImportError
 */
export function formatOf(path: string | undefined, text: string): ImportFormat {
  const named = FORMATS_OF_NAMES.find(([pattern]) => pattern.test(path ?? ''))?.[1];
  if (named !== undefined) return named;
  if (isOwnExport(text)) return 'export';
  // An encrypted file of rclone is not text of any kind that textKindOf knows.
  if (/^RCLONE_ENCRYPT_V\d+:/m.test(text)) return 'rclone';
  const prepared = prepareText(text);
  switch (textKindOf(prepared)) {
    case 'ini': {
      const sections = parseIni(prepared);
      return isRclone(sections) ? 'rclone' : isS3cfg(sections) ? 's3cfg' : 'aws';
    }
    case 'dotenv':
      return /^\s*(?:export\s+)?(?:OS_AUTH_URL|OS_CLOUD|EC2_ACCESS_KEY)=/m.test(prepared) ? 'openstack' : 'env';
    case 'json':
      if (/"(?:aliases|hosts)"\s*:/.test(prepared)) return 'mc';
      return /"access"\s*:/.test(prepared) && /"secret"\s*:/.test(prepared) ? 'openstack' : 'set';
    case 'yaml':
      return /^clouds:/m.test(prepared) ? 'openstack' : 'set';
  }
}

/** Reads a text of a known format. */
export function readFormat(format: ImportFormat, text: string, context: ReaderContext): Found {
  if (format === 'export') return readExportFile(text);
  const prepared = prepareText(text);
  switch (format) {
    case 'aws':
      return readAws(prepared);
    case 'mc':
      return readMc(prepared);
    case 'rclone':
      return readRclone(prepared, context);
    case 's3cfg':
      return readS3cfg(prepared);
    case 'env':
      return readEnvironmentFile(prepared);
    case 'openstack':
      return /^(?:\{|---|clouds:)/m.test(prepared) && !/^\s*export\s/m.test(prepared)
        ? readClouds(prepared)
        : readOpenrc(prepared);
    case 'velero':
      return readVelero(prepared);
    case 'set':
      return readSet(prepared);
  }
}

/** Reads Velero's file, whose form depends on the provider: AWS's shared file, variables for Azure, Google's JSON. */
function readVelero(text: string): Found {
  switch (textKindOf(text)) {
    case 'ini':
      return readAws(text);
    case 'dotenv':
      return readEnvironmentFile(text);
    case 'json':
    case 'yaml':
      return readSet(text);
  }
}

function readSet(text: string): Found {
  const { set, provider, values } = parseSetFile(text, { provider: undefined, profile: undefined });
  if (provider === undefined)
    throw new ImportError(
      undefined,
      'it does not say which provider the keys are for; use: cio credential create SET --provider P --from-file PATH',
    );
  return { sets: [{ line: undefined, label: set, provider, values }], credentials: [], skipped: [] };
}

function isOwnExport(text: string): boolean {
  return text.slice(0, 200).includes(`"${EXPORT_FORMAT}"`);
}

function readExportFile(text: string): Found {
  try {
    const { credentials } = parseExport(text);
    return { sets: [], credentials: credentials.map((credential) => ({ line: undefined, credential })), skipped: [] };
  } catch (error) {
    if (!(error instanceof ExportFormatError)) throw error;
    throw new ImportError(undefined, error.message);
  }
}
