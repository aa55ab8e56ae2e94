import { dirname } from 'node:path';
import { quoteIfNeeded } from '../../../../src/forms/shell.ts';
import { canonicalName, parseName } from '../../../../src/names.ts';
import { parseSetFileName, SET_FORMS } from '../../../../src/set-files.ts';
import { canonicalSetName, memberName, membershipOf } from '../../../../src/sets.ts';
import type { Grantee } from '../../../../src/protocol/interface.generated.ts';
import { isTemplate, templateOf } from '../../../../src/units.ts';
import type { Facts, StoredNames } from '../facts.ts';
import { revertService } from '../fixes.ts';
import { loadsOf, type Load } from '../loads.ts';
import { SERVICE, SYSTEM_RUNTIME } from '../places.ts';
import { Notes, type Severity, type Verdict } from '../verdict.ts';

/**
 * The maximum length of a unit's name and a credential id together, in characters. systemd binds its end to an abstract
 * address of NUL, 16 digits, `/unit/`, the unit, `/` and the id, and uses at most 107 bytes for it (systemd#36709).
 */
const UNIT_AND_ID_MAX: number = 107 - '\0'.length - 16 - '/unit/'.length - '/'.length;

const WAITS = 'it was granted with --missing block: the start of the unit waits until it is created';
/** Leaves both open: `List` does not show the grants of a credential that does not exist. */
const MISSES = 'the unit does not start, or waits if it was granted with --missing block';

/** Checks whether the units that load credentials from the daemon will get them. */
export function checkUnits(facts: Facts): Verdict {
  const { daemon, units, userUnits, systemd } = facts;
  const notes = new Notes();
  const scan = userUnits ?? units;
  for (const { path, reason } of scan.unread) notes.skip(`${path} cannot be read (${reason})`);
  // Only loads from the sockets of this daemon can be checked against its store.
  const folder = daemon.socket === undefined ? SYSTEM_RUNTIME : dirname(daemon.socket);
  const runtime = dirname(userUnits === undefined ? SYSTEM_RUNTIME : folder);
  const loads = loadsOf(scan, { folder, runtime });
  const loadsFromHostDaemon = userUnits === undefined ? [] : loadsOf(userUnits, { folder: SYSTEM_RUNTIME, runtime });
  for (const { unit, rawId } of loadsFromHostDaemon) {
    notes.error(
      `${unit} loads ${rawId} from the daemon of the host`,
      "that one serves only the host's units, and the unit does not start; yours is at %t/cio-credentiald/load",
    );
  }
  const stored = loads.length === 0 ? undefined : storedNames(notes, daemon);
  const systemctl = `systemctl${userUnits === undefined ? '' : ' --user'}`;
  const revert =
    userUnits === undefined
      ? revertService(facts)
      : `${systemctl} revert ${SERVICE} && ${systemctl} restart ${SERVICE}`;
  for (const load of loads) {
    if (load.isEncrypted && systemd.refusesNullKey) {
      notes.error(
        `${load.unit} loads ${load.rawId} encrypted, which this host refuses`,
        `with a TPM2 and Secure Boot, systemd refuses a null key; ${load.path} must use LoadCredential= and the socket load`,
      );
    }
    checkLoad(notes, load, stored, revert);
  }
  checkWaiting(notes, daemon, systemctl);
  return notes;
}

function checkWaiting(notes: Notes, daemon: Facts['daemon'], systemctl: string): void {
  const waiting = daemon.kind === 'answered' ? (daemon.status.waiting ?? 0) : 0;
  if (waiting === 0) return;
  notes.warning(
    waiting === 1 ? 'the start of a unit waits for a credential' : `${waiting} starts of units wait for a credential`,
    'it was granted with --missing block and does not exist yet; the start goes on when it is created, or fails by time-out',
    `${systemctl} list-jobs`,
  );
}

/** Returns the stored names with their grants; undefined if the caller is no administrator and cannot see them all. */
function storedNames(notes: Notes, daemon: Facts['daemon']): StoredNames | undefined {
  if (daemon.kind === 'silent') {
    notes.skip('what units may load is not known: the daemon does not answer');
    return undefined;
  }
  if (daemon.status.administrator) return notes.see(daemon.list);
  notes.skip('only administrators can see what units may load');
  return undefined;
}

/** @param revert the command that reverts an administrator's changes to the daemon's service */
function checkLoad(notes: Notes, load: Load, stored: StoredNames | undefined, revert: string): void {
  const { unit, rawId, id } = load;
  if (id === undefined) {
    notes.skip(`${unit} loads ${rawId}, which depends on the instance or the host`);
    return;
  }
  if (unit === SERVICE) {
    notes.error(
      `${unit} loads ${id} from itself`,
      'systemd asks before it starts the daemon, and only the daemon could answer: neither can go on',
      revert,
    );
    return;
  }
  const isOpen = isTemplate(unit);
  const length = unit.length + id.length + (isOpen ? 1 : 0);
  if (length > UNIT_AND_ID_MAX) {
    notes.error(
      `${unit} loads ${id}: the two names have ${length} characters${isOpen ? ' or more' : ''}`,
      `more than ${UNIT_AND_ID_MAX} do not fit into the address that systemd connects from, and the unit does not start; give one a shorter name`,
    );
  }
  const target = targetOf(id);
  if (target === undefined) {
    notes.error(
      `${unit} loads ${id}, which cannot be a credential`,
      `a name is a-z, 0-9 and _ . -, or a set and one of ${SET_FORMS.map((form) => `.${form}`).join(', ')}; the unit does not start`,
    );
    return;
  }
  if (target.name !== id) {
    notes.hint(
      `${unit} loads ${id}, which is now called ${target.name}`,
      `both names work; the file in $CREDENTIALS_DIRECTORY is named as in ${load.path}`,
    );
  }
  if (stored !== undefined) checkGrant(notes, load, target, stored);
}

/** What a credential id names: a credential, or a whole set as one file. */
interface Target {
  readonly name: string;
  readonly fileOf: string | undefined;
}

function targetOf(id: string): Target | undefined {
  const file = parseSetFileName(id);
  const set = file && canonicalSetName(file.set);
  try {
    const name = parseName(id);
    return { name: file && set !== undefined ? `${set}.${file.form}` : canonicalName(name), fileOf: set };
  } catch {
    // Not a name; the finding says what a name looks like.
    return undefined;
  }
}

function checkGrant(notes: Notes, load: Load, { name, fileOf }: Target, all: StoredNames): void {
  const { unit, id = '' } = load;
  const credentials = all.credentials.filter(isShared);
  const credential = credentials.find((each) => each.name === name);
  const file = credential === undefined ? fileOf : undefined;
  const setName = file ?? membershipOf(name)?.set;
  const set = all.sets.filter(isShared).find((each) => each.set === setName);
  const ofSet = grantsFor(unit, set);
  const members = file === undefined ? [credential] : credentials.filter((each) => each.set === file);
  const ofMembers = members.map((member) => grantsFor(unit, member));
  // A set as one file takes a grant of the set, or grants of all its credentials.
  const isGranted = ofSet.length > 0 || (members.length > 0 && ofMembers.every((grants) => grants.length > 0));
  // With such a grant the unit waits for a missing credential on purpose, so it is no fault.
  const isAwaited = [...ofSet, ...ofMembers.flat()].some(({ missing }) => missing === 'block');
  const tell = (severity: Severity, what: string, why: string, fix: string): void =>
    notes[load.isIdle ? 'hint' : severity](`${unit} loads ${id}${what}`, why, fix);
  const grant = `cio credential grant ${file ?? name} --unit ${quoteIfNeeded(unit)}`;
  if ((file === undefined ? credential : set) === undefined) {
    const own = (file === undefined ? all.credentials : all.sets).find((each) => nameOf(each) === (file ?? name));
    const lack = isAwaited ? WAITS : MISSES;
    const create = `cio credential create ${file === undefined ? name : memberName(file, 'backup_repo')}`;
    tell(
      isAwaited ? 'hint' : 'warning',
      `: there is no ${own === undefined ? '' : 'shared '}${file === undefined ? `credential ${name}` : `set ${file}`}`,
      own === undefined ? lack : `units load what is shared, and this one belongs to uid ${own.owner}; ${lack}`,
      file === undefined && !isGranted ? `${create} && ${grant}` : create,
    );
  } else if (!isGranted) {
    tell('error', ', which was not granted to it', 'the daemon refuses, and the unit does not start', grant);
  } else if (file !== undefined && set?.ready === false) {
    const [missing = 'provider'] = set.missing;
    tell(
      isAwaited ? 'hint' : 'error',
      `: set ${file} lacks ${set.missing.join(', ')}`,
      isAwaited ? WAITS : 'an incomplete set is not handed out, and the unit does not start',
      `cio credential create ${quoteIfNeeded(memberName(file, missing))}`,
    );
  }
}

type Stored = StoredNames['credentials'][number] | StoredNames['sets'][number];

/** Whether the credential or set is shared. LoadCredential= gets nothing else, whatever was granted to the unit. */
function isShared({ owner }: Stored): boolean {
  return owner === 0;
}

function nameOf(stored: Stored): string {
  return 'name' in stored ? stored.name : stored.set;
}

/** The grants to the unit, to its template, or, for a template, to one of its instances. */
function grantsFor(unit: string, stored: Stored | undefined): readonly Grantee[] {
  return (stored?.grants ?? []).filter(({ unit: grantee }) => {
    if (typeof grantee !== 'string') return false;
    return grantee === unit || grantee === templateOf(unit) || (isTemplate(unit) && templateOf(grantee) === unit);
  });
}
