import type { ExportedCredential } from '../../../src/export-format.ts';
import { readAws } from '../../../src/import/aws.ts';
import { formatOf, IMPORT_FORMATS, readFormat, type ImportFormat } from '../../../src/import/formats.ts';
import type { Found } from '../../../src/import/found.ts';
import { ImportError } from '../../../src/import/import-error.ts';
import type { SourceFile } from '../../../src/import/plan.ts';
import { prepareText } from '../../../src/import/text.ts';
import { CommandError, usageError } from '../command-error.ts';
import { decodeAndWipe } from '../decode-text.ts';
import { revealRclone } from './reveal.ts';
import type { SourceText } from './read-source.ts';

/** @throws CommandError `Usage` */
export function parseFormat(text: string | undefined): ImportFormat | undefined {
  const format = IMPORT_FORMATS.find((known) => known === text);
  if (text !== undefined && format === undefined) {
    throw usageError('--format is not a known one', `the formats are ${IMPORT_FORMATS.join(', ')}`);
  }
  return format;
}

/**
 * Parses each text in the given format, or in the one that it is found to have.
 *
 * @throws CommandError `InvalidInput`, with file and line
 */
export function readTexts(texts: readonly SourceText[], format: ImportFormat | undefined): SourceFile[] {
  const read = texts.map((source) => {
    const kind = inFile(source.name, () => format ?? formatOf(source.path, source.text));
    const found = inFile(source.name, () => readFormat(kind, source.text, { reveal: revealRclone }));
    return { source, kind, found: withTexts(found) };
  });
  const [credentials, config] = pairOfAws(read.flatMap(({ source, kind }) => (kind === 'aws' ? [source] : [])));
  return read.flatMap(({ source, found }): SourceFile[] => {
    if (config === undefined || credentials === undefined || (source !== credentials && source !== config)) {
      return [{ name: source.name, found }];
    }
    if (source === config) return [];
    // The config file's settings of a profile, above all its region, belong to the keys in the credentials file.
    const both = readAws(prepareText(credentials.text), prepareText(config.text));
    const names = [credentials.name, config.name];
    return names.map((name, index) => ({
      name,
      texts: names,
      found: {
        sets: both.sets.filter(({ text = 0 }) => text === index),
        credentials: [],
        skipped: both.skipped.filter(({ text = 0 }) => text === index),
      },
    }));
  });
}

/** Converts base64 values that are text into text, so that fields of a set can be checked. */
function withTexts(found: Found): Found {
  return {
    ...found,
    credentials: found.credentials.map((one) => ({ ...one, credential: asText(one.credential) })),
  };
}

function asText(credential: ExportedCredential): ExportedCredential {
  if ('value' in credential) return credential;
  const text = decodeAndWipe(Buffer.from(credential.data, 'base64'));
  return text === undefined ? credential : { name: credential.name, value: text };
}

/** Returns the credentials and the config file of the AWS tools, if the sources are these two; else an empty array. */
function pairOfAws(sources: readonly SourceText[]): readonly [] | readonly [SourceText, SourceText] {
  const config = sources.find(({ path }) => /(?:^|\/)[^/]*config[^/]*$/.test(path ?? ''));
  const credentials = sources.find((source) => source !== config);
  return sources.length === 2 && config !== undefined && credentials !== undefined ? [credentials, config] : [];
}

/** @throws CommandError `InvalidInput` for an ImportError */
export function inFile<Result>(name: string, read: () => Result): Result {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof ImportError)) throw error;
    const file = error.source ?? name;
    const place = error.line === undefined ? file : `${file}, line ${error.line}`;
    throw new CommandError('InvalidInput', `${place}: ${error.reason}`, 'nothing was stored');
  }
}
