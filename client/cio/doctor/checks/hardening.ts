import { basename } from 'node:path';
import { quoteIfNeeded } from '../../../../src/forms/shell.ts';
import type { Facts, ProcessFacts, SystemdFacts } from '../facts.ts';
import { looseningSettings } from '../loosening.ts';
import { editFiles, movesStore, RESTART, revertService } from '../mends.ts';
import { SERVICE, SYSTEM_STATE } from '../places.ts';
import type { UnitFile } from '../unit-file.ts';
import { Notes, type Verdict } from '../verdict.ts';

/** Mode of seccomp with a filter (proc_pid_status(5)). */
const SECCOMP_FILTER = '2';

const NO_NETWORK_MADE =
  'its unit asks for one of its own: if it stays so after a restart, systemd may not make any here, ' +
  'as in a container without CAP_SYS_ADMIN and CAP_NET_ADMIN';

const RELOAD = `systemctl daemon-reload && ${RESTART}`;

/** Whether the daemon runs in the sandbox of its unit: by what the kernel says of the process, not by the unit's file. */
export function checkHardening(facts: Facts): Verdict {
  const notes = new Notes();
  const seen = notes.see(facts.process);
  if (seen === undefined) return notes;
  const unit = notes.see(seen.unit);
  if (unit !== SERVICE) {
    notes.skip(
      unit?.startsWith('user@') === true
        ? `the daemon is one of a user's own: the sandbox of the host's ${SERVICE} is not for it`
        : `the daemon does not run in ${SERVICE}, and has the sandbox of whoever started it`,
    );
    return notes;
  }
  const mend = revertService(facts);
  checkProcess(notes, seen, facts.systemd, mend);
  checkService(notes, facts, mend);
  return notes;
}

function checkProcess(notes: Notes, process: ProcessFacts, { service }: SystemdFacts, mend: string): void {
  if (process.uids.includes(0)) {
    notes.error('the daemon runs as root', 'a mistake in it is a mistake with every right on this host', mend);
  }
  if (process.noNewPrivileges !== '1') {
    notes.error('NoNewPrivs is not set', 'the daemon could gain privileges by a program that it executes', mend);
  }
  if (process.seccomp !== SECCOMP_FILTER) {
    notes.error('no system call filter is on', 'whoever gets into the daemon has the whole kernel before him', mend);
  }
  if (!isEmptyMask(process.effectiveCapabilities) || !isEmptyMask(process.boundingCapabilities)) {
    notes.error('the daemon has capabilities, or can get some', 'it needs none', mend);
  }
  if (notes.see(process.hasOwnNetwork) === false) {
    // systemd starts it with that of the host where it may not make one (systemd.exec(5), PrivateNetwork=).
    const isAsked = 'value' in service && service.value.get('PrivateNetwork') === 'yes';
    notes.error(
      'the daemon has the network of the host',
      `the process that holds the keys shall not be able to send them anywhere${isAsked ? `; ${NO_NETWORK_MADE}` : ''}`,
      isAsked ? RESTART : mend,
    );
  }
}

function isEmptyMask(mask: string | undefined): boolean {
  return mask !== undefined && /^0+$/.test(mask);
}

function checkService(notes: Notes, { daemon, systemd }: Facts, mend: string): void {
  const { service, dropIns, hasPackagedUnit } = systemd;
  const properties = notes.see(service);
  if (properties?.get('NeedDaemonReload') === 'yes') {
    notes.warning(`the files of ${SERVICE} changed since systemd read them`, 'what runs is not what they say', RELOAD);
  }
  const fragment = properties?.get('FragmentPath') ?? '';
  if (hasPackagedUnit && fragment.startsWith('/etc/')) {
    notes.warning(
      `${fragment} hides the unit of the package`,
      'what an upgrade changes in the sandbox does not arrive',
      mend,
    );
  }
  const directory = daemon.kind === 'answered' ? daemon.status.stateDirectory : undefined;
  for (const dropIn of notes.see(dropIns) ?? []) {
    const loosened = looseningSettings(dropIn, directory ?? SYSTEM_STATE);
    if (loosened.length === 0) continue;
    notes.warning(
      `${dropIn.path} loosens ${loosened.join(', ')}`,
      'the sandbox is what keeps a mistake in the daemon from becoming one of the host',
      withoutDropIn(dropIn),
    );
  }
}

const OWN_DROP_INS = `/etc/systemd/system/${SERVICE}.d`;

function withoutDropIn(dropIn: UnitFile): string {
  const { path } = dropIn;
  if (movesStore(dropIn)) return editFiles([path]);
  if (/^\/(?:etc|run)\//.test(path) && path.includes(`/${SERVICE}.d/`))
    return `rm -f ${quoteIfNeeded(path)} && ${RELOAD}`;
  // It is of a package, or counts for other units as well: one of its name that is nearer hides it.
  const mask = quoteIfNeeded(`${OWN_DROP_INS}/${basename(path)}`);
  return `mkdir -p ${OWN_DROP_INS} && ln -s /dev/null ${mask} && ${RELOAD}`;
}
