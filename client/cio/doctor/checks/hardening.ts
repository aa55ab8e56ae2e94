import { basename } from 'node:path';
import { quoteIfNeeded } from '../../../../src/forms/shell.ts';
import type { Facts, ProcessFacts, SystemdFacts } from '../facts.ts';
import { looseningSettings } from '../loosening.ts';
import { editFiles, movesStore, RESTART, revertService } from '../fixes.ts';
import { SERVICE, SYSTEM_STATE } from '../places.ts';
import type { UnitFile } from '../unit-file.ts';
import { Notes, type Verdict } from '../verdict.ts';

/** The value of `Seccomp:` for a process with a filter (proc_pid_status(5)). */
const SECCOMP_FILTER = '2';

const NO_NETWORK_MADE =
  'its unit asks for one of its own: if a restart does not help, systemd cannot create one here, ' +
  'as in a container without CAP_SYS_ADMIN and CAP_NET_ADMIN';

const RELOAD = `systemctl daemon-reload && ${RESTART}`;

/** Checks the daemon's sandbox by what the kernel reports about the process, not only by what the unit file says. */
export function checkHardening(facts: Facts): Verdict {
  const notes = new Notes();
  const seen = notes.see(facts.process);
  if (seen === undefined) return notes;
  const unit = notes.see(seen.unit);
  if (unit !== SERVICE) {
    notes.skip(
      unit?.startsWith('user@') === true
        ? `the daemon is a user's own: the sandbox of the host's ${SERVICE} does not apply to it`
        : `the daemon does not run in ${SERVICE}, and has the sandbox of the process that started it`,
    );
    return notes;
  }
  const fix = revertService(facts);
  checkProcess(notes, seen, facts.systemd, fix);
  checkService(notes, facts, fix);
  return notes;
}

function checkProcess(notes: Notes, process: ProcessFacts, { service }: SystemdFacts, fix: string): void {
  if (process.uids.includes(0)) {
    notes.error('the daemon runs as root', 'a bug in it has every right on this host', fix);
  }
  if (process.noNewPrivileges !== '1') {
    notes.error('NoNewPrivs is not set', 'the daemon could gain privileges through a program that it executes', fix);
  }
  if (process.seccomp !== SECCOMP_FILTER) {
    notes.error('no system call filter is active', 'whoever takes over the daemon can use every system call', fix);
  }
  if (!isEmptyMask(process.effectiveCapabilities) || !isEmptyMask(process.boundingCapabilities)) {
    notes.error('the daemon has capabilities, or can get some', 'it needs none', fix);
  }
  if (notes.see(process.hasOwnNetwork) === false) {
    // Where systemd may not create a network namespace, the service gets the host's (systemd.exec(5), PrivateNetwork=).
    const isAsked = 'value' in service && service.value.get('PrivateNetwork') === 'yes';
    notes.error(
      'the daemon has the network of the host',
      `the process that holds the keys must not be able to send them anywhere${isAsked ? `; ${NO_NETWORK_MADE}` : ''}`,
      isAsked ? RESTART : fix,
    );
  }
}

function isEmptyMask(mask: string | undefined): boolean {
  return mask !== undefined && /^0+$/.test(mask);
}

function checkService(notes: Notes, { daemon, systemd }: Facts, fix: string): void {
  const { service, dropIns, hasPackagedUnit } = systemd;
  const properties = notes.see(service);
  if (properties?.get('NeedDaemonReload') === 'yes') {
    notes.warning(
      `the files of ${SERVICE} changed since systemd read them`,
      'the running daemon does not follow them yet',
      RELOAD,
    );
  }
  const fragment = properties?.get('FragmentPath') ?? '';
  if (hasPackagedUnit && fragment.startsWith('/etc/')) {
    notes.warning(
      `${fragment} overrides the unit of the package`,
      'changes that an upgrade makes to the sandbox have no effect',
      fix,
    );
  }
  const directory = daemon.kind === 'answered' ? daemon.status.stateDirectory : undefined;
  for (const [dropIn, settings] of looseningSettings(notes.see(dropIns) ?? [], directory ?? SYSTEM_STATE)) {
    notes.warning(
      `${dropIn.path} loosens ${settings.join(', ')}`,
      'the sandbox is what keeps a bug in the daemon from harming the host',
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
  // It belongs to a package, or applies to other units too: a link of the same name in the unit's own folder masks it.
  const mask = quoteIfNeeded(`${OWN_DROP_INS}/${basename(path)}`);
  return `mkdir -p ${OWN_DROP_INS} && ln -s /dev/null ${mask} && ${RELOAD}`;
}
