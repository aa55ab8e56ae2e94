import type { Entry } from './entry.ts';
import { NO_KEYS, foundSet, missingKeyReason, pickValues, valueOf, type Found, type Skipped } from './found.ts';
import { ImportError } from './import-error.ts';
import { showableKey } from './text.ts';
import { parseTree } from './tree.ts';

const FIELDS = {
  EC2_ACCESS_KEY: 'access_key',
  EC2_SECRET_KEY: 'secret_key',
  AWS_ACCESS_KEY_ID: 'access_key',
  AWS_SECRET_ACCESS_KEY: 'secret_key',
  S3_URL: 'endpoint',
};

/** The keys in the output of `openstack ec2 credentials create -f json`. */
const CREATED_FIELDS = { access: 'access_key', secret: 'secret_key' };

const KEYSTONE =
  'a Keystone login is not a set; to make keys for S3, run: openstack ec2 credentials create -f json, and import its output';

/** The label of a set from OpenStack, whose provider is just `s3`. */
const LABEL = 'openstack';

/** An assignment in a shell script, unquoted or quoted, without anything that a shell would expand. */
const ASSIGNMENT =
  /^\s*(?:export\s+)?((?:OS|EC2|S3|AWS)_[A-Z0-9_]+)=(?:"([^"`$\\]*)"|'([^']*)'|([^\s"'`$\\;&|<>()]*))\s*;?\s*(?:#.*)?$/;

/**
 * Reads `openrc.sh` and `ec2rc.sh`, which OpenStack's dashboard offers for download. They are scripts that ask for
 * passwords and look for files. Only their plain assignments are read, and nothing is executed.
 */
export function readOpenrc(text: string): Found {
  const entries = text.split('\n').flatMap((row, index): Entry[] => {
    const [, key, double, single, bare] = ASSIGNMENT.exec(row) ?? [];
    return key === undefined ? [] : [{ key, value: double ?? single ?? bare ?? '', line: index + 1 }];
  });
  const values = pickValues(entries, FIELDS);
  const login = entries.find(({ key }) => key === 'OS_AUTH_URL' || key === 'OS_CLOUD');
  const skipped: Skipped[] =
    login === undefined ? [] : [{ line: login.line, what: `the login of ${login.key}`, reason: KEYSTONE }];
  const missing = missingKeyReason(values, 'access_key', 'secret_key');
  if (missing !== undefined) {
    if (login !== undefined && missing === NO_KEYS) return { sets: [], credentials: [], skipped };
    throw new ImportError(undefined, missing);
  }
  const region = valueOf(entries, 'OS_REGION_NAME');
  if (region !== undefined) values.set('region', region);
  return { sets: [foundSet(entries[0]?.line, LABEL, values, 's3')], credentials: [], skipped };
}

/** Reads `clouds.yaml`, or the JSON output of `openstack ec2 credentials create`. */
export function readClouds(text: string): Found {
  const tree = parseTree(text);
  if (tree.kind !== 'map') throw new ImportError(tree.line, 'it has no clouds');
  const clouds = tree.entries.find(({ key }) => key === 'clouds')?.value;
  if (clouds?.kind === 'map') {
    const skipped = clouds.entries.map(({ key, line }): Skipped => {
      const shown = showableKey(key);
      return { line, what: shown === undefined ? 'a cloud' : `the cloud ${shown}`, reason: KEYSTONE };
    });
    return { sets: [], credentials: [], skipped };
  }
  const entries = tree.entries.flatMap(({ key, line, value }): Entry[] =>
    value.kind === 'text' ? [{ key, line, value: value.text }] : [],
  );
  const values = pickValues(entries, CREATED_FIELDS);
  const missing = missingKeyReason(values, 'access_key', 'secret_key');
  if (missing !== undefined)
    throw new ImportError(tree.line, 'it has neither clouds nor the keys that OpenStack makes');
  return { sets: [foundSet(tree.line, LABEL, values, 's3')], credentials: [], skipped: [] };
}
