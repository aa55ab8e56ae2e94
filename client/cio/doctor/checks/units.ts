import { dirname } from 'node:path';
import { quoteIfNeeded } from '../../../../src/forms/shell.ts';
import { canonicalName, parseName } from '../../../../src/names.ts';
import { parseSetFileName, SET_FORMS } from '../../../../src/set-files.ts';
import { canonicalSetName, memberName } from '../../../../src/sets.ts';
import { isTemplate, templateOf } from '../../../../src/units.ts';
import type { Facts, StoredNames } from '../facts.ts';
import { loadsOf, type Load } from '../loads.ts';
import { SERVICE, SYSTEM_RUNTIME } from '../places.ts';
import { Notes, type Verdict } from '../verdict.ts';

/**
 * Most characters of a unit's name and a credential id together: systemd connects from an abstract address of NUL, 16
 * digits, `/unit/`, the unit, `/` and the id, and the kernel takes 107 bytes of it (systemd#36709).
 */
const UNIT_AND_ID_MAX: number = 107 - '\0'.length - 16 - '/unit/'.length - '/'.length;

/** Whether units that load credentials from the daemon will get them. */
export function checkUnits({ daemon, units, systemd }: Facts): Verdict {
  const notes = new Notes();
  for (const { path, reason } of units.unread) notes.skip(`${path} cannot be read (${reason})`);
  // Another daemon's loads say nothing of this one's store.
  const { loads, unresolved } = loadsOf(units, daemon.socket === undefined ? SYSTEM_RUNTIME : dirname(daemon.socket));
  for (const path of unresolved) notes.skip(`${path} is for several units; which ones is not known here`);
  const stored = loads.length === 0 ? undefined : storedNames(notes, daemon);
  for (const load of loads) {
    if (load.isEncrypted && systemd.refusesNullKey) {
      notes.error(
        `${load.unit} loads ${load.rawId} encrypted, which this host refuses`,
        `with a TPM2 and Secure Boot, systemd takes no null key; ${load.path} must say LoadCredential= and the socket load`,
      );
    }
    checkLoad(notes, load, stored);
  }
  checkWaiting(notes, daemon);
  return notes;
}

function checkWaiting(notes: Notes, daemon: Facts['daemon']): void {
  const waiting = daemon.kind === 'answered' ? (daemon.status.waiting ?? 0) : 0;
  if (waiting === 0) return;
  notes.warning(
    waiting === 1 ? 'the start of a unit waits for a credential' : `${waiting} starts of units wait for a credential`,
    'it was granted with --missing block and is not there yet; they go on when it is created, or fail when their time is up',
    'systemctl list-jobs',
  );
}

/** What is stored, with its grants; those are for administrators. */
function storedNames(notes: Notes, daemon: Facts['daemon']): StoredNames | undefined {
  if (daemon.kind === 'silent') {
    notes.skip('what units may load is not known: the daemon does not answer');
    return undefined;
  }
  if (daemon.status.administrator) return notes.see(daemon.list);
  notes.skip('what units may load is told to administrators only');
  return undefined;
}

function checkLoad(notes: Notes, load: Load, stored: StoredNames | undefined): void {
  const { unit, rawId, id } = load;
  if (id === undefined) {
    notes.skip(`${unit} loads ${rawId}, which depends on the instance or the host`);
    return;
  }
  if (unit === SERVICE) {
    notes.error(
      `${unit} loads ${id} from itself`,
      'systemd asks before it starts the daemon, which alone could answer: neither goes on',
      `systemctl revert ${SERVICE} && systemctl restart ${SERVICE}`,
    );
    return;
  }
  const isOpen = isTemplate(unit);
  const length = unit.length + id.length + (isOpen ? 1 : 0);
  if (length > UNIT_AND_ID_MAX) {
    notes.error(
      `${unit} loads ${id}: the two names have ${length} characters${isOpen ? ' or more' : ''}`,
      `more than ${UNIT_AND_ID_MAX} do not fit into the address that systemd asks from, and the unit does not start; give one a shorter name`,
    );
  }
  const target = targetOf(id);
  if (target === undefined) {
    notes.error(
      `${unit} loads ${id}, which can be no credential`,
      `a name is a-z, 0-9 and _ . -, or a set and one of ${SET_FORMS.map((form) => `.${form}`).join(', ')}; the unit does not start`,
    );
    return;
  }
  if (target.name !== id) {
    notes.hint(
      `${unit} loads ${id}, which is called ${target.name} today`,
      `both are understood; the file in $CREDENTIALS_DIRECTORY is called as ${load.path} says`,
    );
  }
  if (stored !== undefined) checkGrant(notes, load, target, stored);
}

/** What an id asks for: a credential, or all of a set in one file. */
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
    // Not a name; what is wrong with it stands in the finding.
    return undefined;
  }
}

function checkGrant(notes: Notes, load: Load, { name, fileOf }: Target, stored: StoredNames): void {
  const { unit, id = '' } = load;
  // Nothing starts it: what is missing is missed by nobody yet.
  const tell = (what: string, why: string, mend: string): void => {
    if (load.isIdle) notes.hint(what, why, mend);
    else notes.error(what, why, mend);
  };
  const credentials = stored.credentials.filter((credential) => credential.name === name);
  const sets = fileOf === undefined || credentials.length > 0 ? [] : stored.sets.filter(({ set }) => set === fileOf);
  const found = [...credentials, ...sets];
  const grantTarget = sets.length > 0 ? (fileOf ?? name) : name;
  const grant = `cio credential grant ${grantTarget} --unit ${quoteIfNeeded(unit)}`;
  if (found.length === 0) {
    const what = fileOf === undefined ? `there is no credential ${name}` : `there is no set ${fileOf}`;
    const create = fileOf === undefined ? `cio credential create ${name} && ${grant}` : undefined;
    tell(
      `${unit} loads ${id}: ${what}`,
      'the unit does not start, or waits where it was granted with --missing block',
      create ?? `cio credential create ${memberName(fileOf ?? name, 'backup_repo')}`,
    );
    return;
  }
  const granted = found.find((each) => isGranted(each, unit, stored));
  if (granted === undefined) {
    const owner = found.some((each) => each.owner === 0) ? 0 : (found[0]?.owner ?? 0);
    tell(
      `${unit} loads ${id}, which was not granted to it`,
      'the daemon refuses, and the unit does not start',
      owner === 0 ? grant : `${grant} --owner ${owner}`,
    );
    return;
  }
  if (!('ready' in granted) || granted.ready) return;
  const [missing = 'provider'] = granted.missing;
  tell(
    `${unit} loads ${id}: set ${granted.set} lacks ${granted.missing.join(', ')}`,
    'a set that is not complete is not handed out, and the unit does not start',
    `cio credential create ${quoteIfNeeded(memberName(granted.set, missing))}`,
  );
}

type Stored = StoredNames['credentials'][number] | StoredNames['sets'][number];

/** A grant to the unit, its template, or, for a template, to one of its instances; of the credential or of its set. */
function isGranted(target: Stored, unit: string, { sets }: StoredNames): boolean {
  const set =
    'name' in target ? sets.find((each) => each.set === target.set && each.owner === target.owner) : undefined;
  const template = templateOf(unit);
  return [...(target.grants ?? []), ...(set?.grants ?? [])].some(({ unit: grantee }) => {
    if (typeof grantee !== 'string') return false;
    return grantee === unit || grantee === template || (isTemplate(unit) && templateOf(grantee) === unit);
  });
}
