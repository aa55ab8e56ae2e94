import { quoteIfNeeded } from '../../../src/forms/shell.ts';
import type { Facts } from './facts.ts';
import { SERVICE, SYSTEM_STATE } from './places.ts';
import type { UnitFile } from './unit-file.ts';

export const RESTART: string = `systemctl restart ${SERVICE}`;

/** What is found in a drop-in that moves the store: an option or a variable of the daemon, or another folder in its place. */
const MOVE = new RegExp(`--state-dir|CIO_STATE_DIR|:${SYSTEM_STATE}(?![^:\\s/])`);

/** Takes back what an administrator has changed in the service. Where that says where the store is, he does it by hand. */
export function revertService({ daemon, systemd: { service, dropIns } }: Pick<Facts, 'daemon' | 'systemd'>): string {
  const directory = daemon.kind === 'answered' ? daemon.status.stateDirectory : undefined;
  const files = 'value' in dropIns ? dropIns.value : [];
  const fragment = ('value' in service && service.value.get('FragmentPath')) || '';
  const paths = [...(fragment.startsWith('/etc/') ? [fragment] : []), ...files.map(({ path }) => path)];
  const isMoved = (typeof directory === 'string' && directory !== SYSTEM_STATE) || files.some(movesStore);
  return isMoved && paths.length > 0 ? editFiles(paths) : `systemctl revert ${SERVICE} && ${RESTART}`;
}

/** Without such a file the daemon would begin an empty store. */
export function movesStore({ assignments }: UnitFile): boolean {
  return assignments.some(({ value }) => MOVE.test(value));
}

/** Of drop-ins, systemctl edit knows one name alone. */
export function editFiles(paths: readonly string[]): string {
  return `"\${EDITOR:-vi}" ${paths.map(quoteIfNeeded).join(' ')} && systemctl daemon-reload && ${RESTART}`;
}

/** Lets systemd start a unit that was masked, be it until the next boot (systemctl(1)); nothing where it was not. */
export function unmask(unit: string, state: string | undefined): string {
  if (!isMasked(state)) return '';
  return `systemctl unmask ${state === 'masked' ? '' : '--runtime '}${unit} && `;
}

export function isMasked(unitFileState: string | undefined): boolean {
  return unitFileState?.startsWith('masked') === true;
}
