import { CredentialError } from '../../src/errors.ts';
import { parseName } from '../../src/names.ts';
import { findReadable, mayWrite } from '../access/rules.ts';
import { currentVersion } from '../vault/records.ts';
import type { Method } from './context.ts';
import { readInTurn } from './read-in-turn.ts';
import { toWire } from './wire-value.ts';

/** Reads one value. A grant gives access to the current version; older ones are only for those who may change it. */
export const get: Method<'Get'> = ({ vault }, caller, parameters, onGone) =>
  readInTurn(vault, caller, onGone, (reader, bytesMax) => {
    const name = parseName(parameters.name);
    const record = findReadable(caller, reader, name, parameters.owner);
    const current = currentVersion(record);
    const wanted = parameters.version ?? current.version;
    if (wanted !== current.version && !mayWrite(caller, record.space)) {
      throw new CredentialError('AccessDenied', { name, right: 'write' });
    }
    const version = record.versions.find((entry) => entry.version === wanted);
    if (version === undefined) throw new CredentialError('NotFound', { name });
    if (version.size > bytesMax) return undefined;
    const value = reader.valueFor(record, version.version, toWire);
    return { name, ...value, version: version.version, generation: version.generation };
  });
