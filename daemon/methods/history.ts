import { parseName } from '../../src/names.ts';
import type { Version } from '../../src/protocol/interface.generated.ts';
import { findWritable } from '../access/rules.ts';
import { currentVersion } from '../vault/records.ts';
import type { Method } from './context.ts';

/** The kept versions of a credential, newest first, without their values. */
export const history: Method<'History'> = ({ vault }, caller, parameters) =>
  vault.read((reader) => {
    const record = findWritable(caller, reader, parseName(parameters.name), parameters.owner);
    const current = currentVersion(record).version;
    const versions: Version[] = record.versions
      .toReversed()
      .map((entry) => ({ ...entry, current: entry.version === current }));
    return { name: record.name, versions };
  });
