import { CredentialError } from '../../src/errors.ts';
import type { RollbackIn } from '../../src/protocol/interface.generated.ts';
import { findWritableTarget, recordsOf, resolveUuid } from '../access/targets.ts';
import type { Target } from '../access/targets.ts';
import { currentVersion } from '../vault/records.ts';
import type { CredentialRecord, VersionEntry } from '../vault/records.ts';
import { wipe } from '../vault/sodium.ts';
import type { Method } from './context.ts';
import { saveVersion } from './save-version.ts';

/**
 * Stores older values again as new versions. They do not leave the daemon, so the caller need not be able to read them.
 */
export const rollback: Method<'Rollback'> = async ({ vault, now }, caller, parameters) => {
  const named = await resolveUuid(vault, caller, parameters.target, parameters.owner);
  return vault.write((writer) => {
    const target = findWritableTarget(caller, writer, named);
    const changes = recordsOf(target).flatMap((record) => {
      const wanted = wantedVersion(target, record, parameters);
      return wanted.version === currentVersion(record).version ? [] : [{ record, wanted }];
    });
    const changed = now();
    const saved = changes.map(({ record, wanted }) => {
      const value = writer.value(record, wanted.version);
      try {
        const change = { changed, changedBy: caller.uid, restoredFrom: wanted.version };
        const { space, name } = record;
        return {
          name,
          version: saveVersion(writer, { space, name, existing: record, value, ...change }),
          created: false,
        };
      } finally {
        wipe(value);
      }
    });
    const generation =
      saved.length > 0 ? writer.generation(target.space) : (writer.principal(target.space)?.generation ?? 0);
    return { generation, saved };
  }, caller.uid);
};

function wantedVersion(target: Target, record: CredentialRecord, { version, generation }: RollbackIn): VersionEntry {
  if (typeof generation === 'number' && typeof version === 'number') {
    throw new CredentialError('InvalidValue', {
      name: target.name,
      reason: 'a version and a generation exclude each other',
    });
  }
  if (typeof generation === 'number') return versionAt(record, generation);
  if (target.kind === 'name') return versionBefore(record, version);
  if (typeof version === 'number') {
    throw new CredentialError('InvalidValue', {
      name: target.name,
      reason: 'a set goes back to a generation, not a version',
    });
  }
  const last = Math.max(...recordsOf(target).map((member) => currentVersion(member).generation));
  return versionAt(record, last - 1);
}

/** Returns the given version of a credential, or the one before the current. */
function versionBefore(record: CredentialRecord, version: number | null | undefined): VersionEntry {
  const isNamed = typeof version === 'number';
  const entry = isNamed ? record.versions.find((kept) => kept.version === version) : record.versions.at(-2);
  if (entry === undefined) throw notKept(record, isNamed ? 'such' : 'earlier');
  return entry;
}

/** Returns the version that a credential had at a generation. */
function versionAt(record: CredentialRecord, generation: number): VersionEntry {
  const entry = record.versions.findLast((kept) => kept.generation <= generation);
  if (entry === undefined) throw notKept(record, 'such');
  return entry;
}

function notKept({ name }: CredentialRecord, which: 'such' | 'earlier'): CredentialError {
  return new CredentialError('InvalidValue', { name, reason: `no ${which} version is kept` });
}
