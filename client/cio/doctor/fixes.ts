import { quoteIfNeeded } from '../../../src/forms/shell.ts';
import type { Facts } from './facts.ts';
import { SERVICE, SYSTEM_STATE } from './places.ts';
import type { UnitFile } from './unit-file.ts';

export const RESTART: string = `systemctl restart ${SERVICE}`;

/** Matches a value that moves the store: the daemon's option or variable for it, or a bind mount over its folder. */
const MOVE = new RegExp(`--state-dir|CIO_STATE_DIR|:${SYSTEM_STATE}(?![^:\\s/])`);

/**
 * Returns the command that reverts an administrator's changes to the service. If they move the store, the command opens
 * them in an editor instead, so that the store's place can be kept.
 */
export function revertService({ daemon, systemd: { service, dropIns } }: Pick<Facts, 'daemon' | 'systemd'>): string {
  const directory = daemon.kind === 'answered' ? daemon.status.stateDirectory : undefined;
  const files = 'value' in dropIns ? dropIns.value : [];
  const fragment = ('value' in service && service.value.get('FragmentPath')) || '';
  const paths = [...(fragment.startsWith('/etc/') ? [fragment] : []), ...files.map(({ path }) => path)];
  const isMoved = (typeof directory === 'string' && directory !== SYSTEM_STATE) || files.some(movesStore);
  return isMoved && paths.length > 0 ? editFiles(paths) : `systemctl revert ${SERVICE} && ${RESTART}`;
}

/** Whether a file moves the store. If such a file were deleted, the daemon would create an empty store. */
export function movesStore({ assignments }: UnitFile): boolean {
  return assignments.some(({ value }) => MOVE.test(value));
}

/** Returns the command that opens the files in an editor. `systemctl edit` opens only the drop-in `override.conf`. */
export function editFiles(paths: readonly string[]): string {
  return `"\${EDITOR:-vi}" ${paths.map(quoteIfNeeded).join(' ')} && systemctl daemon-reload && ${RESTART}`;
}

/** Returns the command to unmask a unit, masked for good or until the next boot (systemctl(1)), or an empty string. */
export function unmask(unit: string, state: string | undefined): string {
  if (!isMasked(state)) return '';
  return `systemctl unmask ${state === 'masked' ? '' : '--runtime '}${unit} && `;
}

export function isMasked(unitFileState: string | undefined): boolean {
  return unitFileState?.startsWith('masked') === true;
}
