import type { Entry } from './entry.ts';
import { foundSet, lackOf, pickValues, valueOf, withoutSlash, type Found, type LeftOut } from './found.ts';
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

/** As `openstack ec2 credentials create -f json` calls them. */
const CREATED_FIELDS = { access: 'access_key', secret: 'secret_key' };

const KEYSTONE =
  'a login to Keystone is no set; keys for S3 are made by: openstack ec2 credentials create -f json, whose output can be imported';

/** The label of a set out of OpenStack: its provider is an S3 server like others. */
const LABEL = 'openstack';

/** An assignment of a script: with no quotes, or in quotes without anything that a shell would replace. */
const ASSIGNMENT =
  /^\s*(?:export\s+)?((?:OS|EC2|S3|AWS)_[A-Z0-9_]+)=(?:"([^"`$\\]*)"|'([^']*)'|([^\s"'`$\\;&|<>()]*))\s*;?\s*(?:#.*)?$/;

/**
 * Reads what OpenStack's dashboard gives out as `openrc.sh` and `ec2rc.sh`. They are scripts, which ask for passwords and
 * look for files; of them the plain assignments are taken, and nothing is run.
 */
export function readOpenrc(text: string): Found {
  const entries = text.split('\n').flatMap((row, index): Entry[] => {
    const [, key, double, single, bare] = ASSIGNMENT.exec(row) ?? [];
    return key === undefined ? [] : [{ key, value: double ?? single ?? bare ?? '', line: index + 1 }];
  });
  const values = pickValues(entries, FIELDS);
  const login = entries.find(({ key }) => key === 'OS_AUTH_URL' || key === 'OS_CLOUD');
  const leftOut: LeftOut[] =
    login === undefined ? [] : [{ line: login.line, what: `the login of ${login.key}`, reason: KEYSTONE }];
  const lack = lackOf(values, 'access_key', 'secret_key');
  if (lack !== undefined) {
    if (login !== undefined && lack === 'it has no keys') return { sets: [], credentials: [], leftOut };
    throw new ImportError(undefined, lack);
  }
  const endpoint = values.get('endpoint');
  if (endpoint !== undefined) values.set('endpoint', withoutSlash(endpoint));
  const region = valueOf(entries, 'OS_REGION_NAME');
  if (region !== undefined) values.set('region', region);
  return { sets: [foundSet(entries[0]?.line, LABEL, values, 's3')], credentials: [], leftOut };
}

/** Reads `clouds.yaml`, or the JSON of keys that were just made. */
export function readClouds(text: string): Found {
  const tree = parseTree(text);
  if (tree.kind !== 'map') throw new ImportError(tree.line, 'it has no clouds');
  const clouds = tree.entries.find(({ key }) => key === 'clouds')?.value;
  if (clouds?.kind === 'map') {
    const leftOut = clouds.entries.map(({ key, line }): LeftOut => {
      const shown = showableKey(key);
      return { line, what: shown === undefined ? 'a cloud' : `the cloud ${shown}`, reason: KEYSTONE };
    });
    return { sets: [], credentials: [], leftOut };
  }
  const entries = tree.entries.flatMap(({ key, line, value }): Entry[] =>
    value.kind === 'text' ? [{ key, line, value: value.text }] : [],
  );
  const values = pickValues(entries, CREATED_FIELDS);
  const lack = lackOf(values, 'access_key', 'secret_key');
  if (lack !== undefined) throw new ImportError(tree.line, 'it has neither clouds nor the keys that OpenStack makes');
  return { sets: [foundSet(tree.line, LABEL, values, 's3')], credentials: [], leftOut: [] };
}
