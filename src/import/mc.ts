import { isAmazon } from '../providers/s3-repository.ts';
import { parseServer } from '../providers/server.ts';
import { foundSet, missingKeyReason, pickValues, type Found, type FoundSet, type Skipped } from './found.ts';
import { ImportError } from './import-error.ts';
import { showableKey } from './text.ts';
import { parseTree, type MapEntry } from './tree.ts';

const FIELDS = { url: 'endpoint', accessKey: 'access_key', secretKey: 'secret_key', sessionToken: 'session_token' };

/** The placeholders that `mc` writes into a new configuration. */
const PLACEHOLDER = /^YOUR-(?:ACCESS|SECRET)-KEY-HERE$/;

/** MinIO's public test server. `mc` writes its keys into each new configuration. */
const PLAYGROUND = 'play.min.io';

/** Reads the configuration of MinIO's client, `~/.mc/config.json`. Each alias becomes a set. */
export function readMc(text: string): Found {
  const tree = parseTree(text);
  const aliases =
    tree.kind === 'map' ? tree.entries.find(({ key }) => key === 'aliases' || key === 'hosts')?.value : undefined;
  if (aliases?.kind !== 'map') throw new ImportError(tree.line, 'it has no aliases, unlike a configuration of mc');
  const sets: FoundSet[] = [];
  const skipped: Skipped[] = [];
  for (const alias of aliases.entries) {
    const found = readAlias(alias);
    if ('reason' in found) skipped.push(found);
    else sets.push(found);
  }
  return { sets, credentials: [], skipped };
}

function readAlias({ key: name, line, value }: MapEntry): FoundSet | Skipped {
  const shown = showableKey(name);
  const what = shown === undefined ? 'an alias' : `the alias ${shown}`;
  if (value.kind !== 'map') throw new ImportError(line, `${what} has no keys and values`);
  const entries = value.entries.flatMap(({ key, line, value }) =>
    value.kind === 'text' ? [{ key, line, value: value.isNull ? '' : value.text }] : [],
  );
  const values = pickValues(entries, FIELDS);
  const server = parseServer(values.get('endpoint') ?? '');
  if ('reason' in server) throw new ImportError(line, `the url of ${what} is not valid: ${server.reason}`);
  if (PLACEHOLDER.test(values.get('access_key') ?? '')) return { line, what, reason: 'it was never filled in' };
  if (server.host === PLAYGROUND) return { line, what, reason: "it is MinIO's public playground" };
  const missing = missingKeyReason(values, 'access_key', 'secret_key');
  if (missing !== undefined) return { line, what, reason: missing };
  const path = entries.find(({ key }) => key === 'path')?.value.toLowerCase();
  if (path === 'on' || path === 'off') values.set('path_style', String(path === 'on'));
  if (isAmazon(server)) return foundSet(line, name, values, 'aws');
  return foundSet(line, name, values, 'minio');
}
